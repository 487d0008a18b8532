#include "sources/redis/layer_data.h"

#include <cstring>

namespace holdfast::redis {

RowLayers::RowLayers(const BucketPlan& plan) : keys(plan.keys) {
    const std::vector<Remembered::Row>& rows = plan.now.rows;
    for (std::size_t row = keys; row < rows.size(); ++row) gone.push_back(rows[row].id);
    if (plan.now.layers.size() < 2) return;
    layers.reserve(rows.size());
    for (const Remembered::Row& row : rows) layers.push_back(row.layer);
}

ItemData::Piece LayerData::read(MutableByteView into) {
    std::size_t done = 0;
    while (done < into.size()) {
        if (!pending_.empty()) {
            const std::size_t some = std::min(pending_.size(), into.size() - done);
            std::memcpy(into.data() + done, pending_.data(), some);
            pending_ = pending_.subspan(some);
            done += some;
        } else if (large_left_ > 0) {
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(large_left_, into.size() - done));
            keys_->read_value(large_at_, into.subspan(done, some));
            large_at_ += some;
            large_left_ -= some;
            done += some;
        } else if (!next()) {
            break;
        }
    }
    return {done, 0};
}

bool LayerData::next() {
    while (row_ < rows_->count() && rows_->layer_of(row_) != layer_) ++row_;
    if (row_ == rows_->count()) return false;
    if (row_ < rows_->keys) {
        const KeySpool::Row& row = loaded_->rows[row_];
        pending_ = loaded_->record(row);
        if (row.is_large) {
            large_at_ = loaded_->value_place(row);
            large_left_ = row.value_bytes;
        }
    } else {
        gone_.clear();
        append_gone(gone_, rows_->gone[row_ - rows_->keys]);
        pending_ = gone_;
    }
    ++row_;
    return true;
}

}  // namespace holdfast::redis
