#include "sources/redis/planned_capture.h"

#include "base/error.h"
#include "sources/redis/stages.h"

namespace holdfast::redis {

PlannedCapture::PlannedCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader> before,
                               const RdbInput::Read& read)
    : KeyCapture(world, std::move(origin), std::move(before)) {
    read_whole_rdb(world_, read, store_);
    keys_ = store_.take(nullptr);
    BitsByDatabase bits;
    for (const std::uint64_t number : keys_->databases()) bits[number] = keys_->bits(number);
    end_reading(bits);
}

Remembered PlannedCapture::remembered(std::uint64_t number, std::size_t bucket) {
    if (!before_ || before_->bits(number) != keys_->bits(number)) return {};
    try {
        return before_->read(number, bucket);
    } catch (const Error&) {
        before_.reset();
        return {};
    }
}

Remembered PlannedCapture::add_bucket(Batch& batch, std::uint64_t database, std::size_t bucket) {
    if (!batch.handle) batch.handle = std::make_shared<Places>();
    auto& places = *static_cast<Places*>(batch.handle.get());
    BucketPlan plan = plan_bucket(remembered(database, bucket), keys_->rows(database, bucket), {fresh_id()});
    const auto rows = std::make_shared<const RowLayers>(plan);
    for (std::size_t layer = plan.now.layers.size(); layer-- > 0;) {
        batch.entries.push_back(layer_entry(database, bucket, plan.now.layers[layer]));
        places.push_back({database, bucket, layer, rows});
    }
    return std::move(plan.now);
}

std::unique_ptr<ItemData> PlannedCapture::open_layer(const Batch& batch, std::size_t entry) {
    const Place& place = static_cast<const Places*>(batch.handle.get())->at(entry);
    return std::make_unique<LayerData>(keys_, keys_->load(place.database, place.bucket), place.rows, place.layer);
}

}  // namespace holdfast::redis
