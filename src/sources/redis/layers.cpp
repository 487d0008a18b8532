#include "sources/redis/layers.h"

#include <algorithm>

namespace holdfast::redis {

namespace {

constexpr std::uint64_t gone_bytes = 1 + KeyId::size;
constexpr std::size_t unset = ~std::size_t{0};

}  // namespace

BucketPlan plan_bucket(const Remembered& before, const std::vector<KeySpool::Row>& keys, const NewLayer& fresh) {
    // Where each key lies; `unset`: in the new layer.
    std::vector<std::size_t> place(keys.size(), unset);
    struct Gone {
        KeyId id;
        std::size_t layer;
    };
    std::vector<Gone> gone;
    std::uint64_t new_bytes = 0, live_bytes = 0;
    std::size_t at = 0;
    bool changed = false;
    const auto pass = [&](const Remembered::Row& row) {
        if (before.is_gone(row)) {
            gone.push_back({row.id, row.layer});
        } else {
            gone.push_back({row.id, unset});
            changed = true;
        }
    };
    for (std::size_t i = 0; i < keys.size(); ++i) {
        while (at < before.rows.size() && is_before(before.rows[at].id, keys[i].id)) pass(before.rows[at++]);
        const bool known = at < before.rows.size() && before.rows[at].id == keys[i].id;
        if (known && before.rows[at].value_id == keys[i].value_id)
            place[i] = before.rows[at].layer;
        else
            changed = true;
        if (known) ++at;
        live_bytes += keys[i].record_bytes();
        if (place[i] == unset) new_bytes += keys[i].record_bytes();
    }
    while (at < before.rows.size()) pass(before.rows[at++]);
    for (const Gone& each : gone)
        if (each.layer == unset) new_bytes += gone_bytes;

    BucketPlan out;
    std::vector<Layer> layers = before.layers;
    if (changed) {
        std::uint64_t stored = new_bytes;
        for (const Layer& each : layers) stored += each.bytes;
        const bool wasteful = stored > 2 * live_bytes + 4096;
        while (!layers.empty() && (wasteful || layers.back().bytes <= new_bytes || layers.size() >= layers_max)) {
            const std::size_t merged = layers.size() - 1;
            for (std::size_t i = 0; i < keys.size(); ++i)
                if (place[i] == merged) {
                    place[i] = unset;
                    new_bytes += keys[i].record_bytes();
                }
            for (Gone& each : gone)
                if (each.layer == merged) {
                    each.layer = unset;
                    new_bytes += gone_bytes;
                }
            layers.pop_back();
        }
        // Below the lowest layer there is nothing that could come back.
        if (layers.empty()) gone.clear();
        if (!keys.empty() || !layers.empty()) {
            const std::uint32_t number = before.layers.empty() ? 0 : before.layers.back().number + 1;
            layers.push_back({fresh.id, number, new_bytes});
        } else {
            new_bytes = 0;
        }
    }
    out.now.layers = std::move(layers);
    const std::size_t newest = out.now.layers.empty() ? 0 : out.now.layers.size() - 1;
    out.now.rows.reserve(keys.size() + gone.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
        out.now.rows.push_back(
            {keys[i].id, keys[i].value_id, static_cast<std::uint8_t>(place[i] == unset ? newest : place[i])});
    for (const Gone& each : gone)
        out.now.rows.push_back({each.id, {}, static_cast<std::uint8_t>(each.layer == unset ? newest : each.layer)});
    out.keys = keys.size();
    out.bytes_new = changed ? new_bytes : 0;
    return out;
}

}  // namespace holdfast::redis
