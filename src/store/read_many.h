// store/read_many.h: several objects at once, where each request is a round trip.
//
// Shape    for_each_number(store, count, work): work(0) … work(count - 1), in any order, several at once on a remote store
// Errors   the first one of `work`
// Threads  `work` runs on threads of its own unless the store is near
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace holdfast {

constexpr std::size_t requests_at_once = 16;
constexpr std::size_t streams_at_once = 6;

// How many threads, each of which fetches and then unpacks, keep the way to the store and this machine's cores busy.
std::size_t readers_of(const Store& store);

void for_each_number(const Store& store, std::size_t count, const std::function<void(std::size_t)>& work);
// In the order of the names; nothing for one that is not there.
std::vector<std::optional<Bytes>> read_many(Store& store, const std::vector<std::string>& names);

}  // namespace holdfast
