// sources/redis/planned_capture.h: all keys are read first; then it is planned which of them must be stored again.
//
// Threads  as Capture says
// Source   sources/redis/layers.h
#pragma once

#include "sources/redis/key_capture.h"
#include "sources/redis/layer_data.h"

namespace holdfast::redis {

class PlannedCapture final : public KeyCapture {
public:
    PlannedCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader> before, const RdbInput::Read& read);

protected:
    Remembered add_bucket(Batch& batch, std::uint64_t database, std::size_t bucket) override;
    std::unique_ptr<ItemData> open_layer(const Batch& batch, std::size_t entry) override;

private:
    struct Place {
        std::uint64_t database = 0;
        std::size_t bucket = 0;
        std::size_t layer = 0;
        std::shared_ptr<const RowLayers> rows;
    };
    using Places = std::vector<Place>;  // as the batch's entries
    Remembered remembered(std::uint64_t number, std::size_t bucket);

    std::shared_ptr<const KeySpool> keys_;
};

}  // namespace holdfast::redis
