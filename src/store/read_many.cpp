#include "store/read_many.h"

#include <algorithm>

#include "base/workers.h"

namespace holdfast {

std::size_t readers_of(const Store& store) {
    return store.traits().is_remote ? std::max(core_count(), streams_at_once) : core_count();
}

void for_each_number(const Store& store, std::size_t count, const std::function<void(std::size_t)>& work) {
    if (!store.traits().is_remote || count < 2) {
        for (std::size_t i = 0; i < count; ++i) work(i);
        return;
    }
    Workers workers(std::min(count, requests_at_once), requests_at_once);
    for (std::size_t i = 0; i < count; ++i) workers.submit([&work, i] { work(i); });
    workers.finish();
}

std::vector<std::optional<Bytes>> read_many(Store& store, const std::vector<std::string>& names) {
    std::vector<std::optional<Bytes>> out(names.size());
    for_each_number(store, names.size(), [&](std::size_t i) { out[i] = store.read(names[i]); });
    return out;
}

}  // namespace holdfast
