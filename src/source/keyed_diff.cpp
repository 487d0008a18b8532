#include "source/keyed_diff.h"

#include "source/order_free_sum.h"

namespace holdfast {

namespace {

std::size_t hash_of(const std::string& key) { return OrderFreeSum::hash(as_bytes(key)).first; }

}  // namespace

void KeyedDiff::count(Side side, const std::string& key, const Hash& row) {
    Bucket& bucket = buckets_[hash_of(key) % buckets];
    bucket.low += side == Side::captured ? row.first : 0 - row.first;
    bucket.high += side == Side::captured ? row.second : 0 - row.second;
    ++bucket.rows;
}

void KeyedDiff::choose() {
    std::size_t rows = 0;
    for (Bucket& bucket : buckets_) {
        if (bucket.low == 0 && bucket.high == 0) continue;
        rows += bucket.rows;
        bucket.is_chosen = rows <= 2 * rows_held_max || rows == bucket.rows;
        if (!bucket.is_chosen) has_more_ = true;
    }
}

void KeyedDiff::keep(Side side, std::string key, const Hash& row) {
    if (!buckets_[hash_of(key) % buckets].is_chosen) return;
    if (side == Side::captured) {
        rows_.emplace(std::move(key), Row{row, RowDifference::Kind::only_captured});
        return;
    }
    const auto [at, is_new] = rows_.try_emplace(std::move(key), Row{row, RowDifference::Kind::only_live});
    if (is_new) return;
    if (at->second.hash == row)
        rows_.erase(at);
    else
        at->second.kind = RowDifference::Kind::changed;
}

std::vector<RowDifference> KeyedDiff::differences() const {
    std::vector<RowDifference> out;
    for (const auto& [key, row] : rows_) out.push_back({key, row.kind});
    return out;
}

}  // namespace holdfast
