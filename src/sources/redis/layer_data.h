// sources/redis/layer_data.h: the bytes of one layer of a bucket, written as they are read.
//
// Errors   of the spool
// Threads  one each
// Limits   one bucket in memory
#pragma once

#include "source/source.h"
#include "sources/redis/layers.h"

namespace holdfast::redis {

// In which layer each row of a bucket lies: all that is kept of its plan until its items are read, which may be when all are
// planned.
struct RowLayers {
    explicit RowLayers(std::size_t all) : keys(all) {}
    explicit RowLayers(const BucketPlan& plan);
    std::size_t count() const { return keys + gone.size(); }
    std::size_t layer_of(std::size_t row) const { return layers.empty() ? 0 : layers[row]; }

    std::size_t keys;
    std::vector<KeyId> gone;           // the rows behind those of keys
    std::vector<std::uint8_t> layers;  // empty: there is only one
};

class LayerData final : public ItemData {
public:
    LayerData(std::shared_ptr<const KeySpool> keys, std::unique_ptr<KeySpool::Loaded> loaded,
              std::shared_ptr<const RowLayers> rows, std::size_t layer)
        : keys_(std::move(keys)), loaded_(std::move(loaded)), rows_(std::move(rows)), layer_(layer) {}
    Piece read(MutableByteView into) override;

private:
    bool next();

    const std::shared_ptr<const KeySpool> keys_;
    const std::unique_ptr<KeySpool::Loaded> loaded_;
    const std::shared_ptr<const RowLayers> rows_;
    const std::size_t layer_;
    std::size_t row_ = 0;
    Bytes gone_;
    ByteView pending_;
    std::uint64_t large_at_ = 0;
    std::uint64_t large_left_ = 0;
};

}  // namespace holdfast::redis
