// sources/redis/layers.h: which records of a bucket need to be stored again, and which still lie in an earlier item.
//
// Shape    a bucket's keys lie in layers, each an item that never changes; a new layer holds what changed and what is
//          gone. Small layers on top are merged, so that there are few and little of them is out of date
// Threads  pure
// I1  without memory of earlier captures everything becomes one new layer: what is lost costs space, never a key
// I2  a layer's item can be made anew at any time from the keys that lie in it now, as newer layers say the rest
// Source   ADR 8; doc/format/redis.md
#pragma once

#include <vector>

#include "sources/redis/key_store.h"

namespace holdfast::redis {

struct LayerTag;
using LayerId = Id<LayerTag, 16>;

struct Layer {
    LayerId id;
    std::uint32_t number = 0;  // grows within a bucket; part of the item's name
    std::uint64_t bytes = 0;   // when it was made
};
constexpr std::size_t layers_max = 15;

struct Remembered {
    struct Row {
        KeyId id;
        ValueId value_id;        // zero: gone
        std::uint8_t layer = 0;  // place in `layers`
    };
    std::vector<Layer> layers;  // the oldest first
    std::vector<Row> rows;      // by id
    bool is_gone(const Row& row) const { return row.value_id.is_zero(); }
};

// What becomes of the bucket: `now` has the rows in the order of `keys`, then those that are gone.
struct BucketPlan {
    Remembered now;
    std::size_t keys = 0;       // rows of now that are keys
    std::size_t bytes_new = 0;  // of records that must be stored
};
struct NewLayer {
    LayerId id;
};
BucketPlan plan_bucket(const Remembered& before, const std::vector<KeySpool::Row>& keys, const NewLayer& fresh);

}  // namespace holdfast::redis
