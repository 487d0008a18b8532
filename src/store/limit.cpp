#include "store/limit.h"

#include <algorithm>

namespace holdfast {

namespace {

Nanoseconds cost_of(std::uint64_t bytes, std::uint64_t bytes_per_second) {
    if (bytes_per_second == 0) return 0;
    return static_cast<Nanoseconds>(static_cast<double>(bytes) / static_cast<double>(bytes_per_second) *
                                    static_cast<double>(one_second));
}

}  // namespace

LimitedStore::LimitedStore(std::unique_ptr<Store> inner, Bandwidth bytes_per_second, World& world)
    : StoreDecorator(std::move(inner)),
      world_(world),
      up_{.bytes_per_second = bytes_per_second.up},
      down_{.bytes_per_second = bytes_per_second.down} {}

// Takes a place in the lane for `bytes` and returns when everything before it is paid for.
void LimitedStore::wait_for_turn(Lane& lane, std::uint64_t bytes) {
    const Nanoseconds now = world_.clock.steady();
    Nanoseconds turn = 0;
    {
        const std::lock_guard lock(mutex_);
        turn = std::max(now, lane.paid_at);
        lane.paid_at = turn + cost_of(bytes, lane.bytes_per_second);
    }
    wait(world_, turn - now);
}

// For what is known only afterwards: the next caller pays.
void LimitedStore::charge(Lane& lane, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    lane.paid_at = std::max(world_.clock.steady(), lane.paid_at) + cost_of(bytes, lane.bytes_per_second);
}

Created LimitedStore::create(std::string_view name, ByteView bytes) {
    wait_for_turn(up_, bytes.size());
    return inner().create(name, bytes);
}

std::optional<Bytes> LimitedStore::read(std::string_view name) {
    wait_for_turn(down_, 0);
    auto bytes = inner().read(name);
    if (bytes) charge(down_, bytes->size());
    return bytes;
}

std::optional<Bytes> LimitedStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    wait_for_turn(down_, 0);
    auto range = inner().read_range(name, offset, bytes);
    if (range) charge(down_, range->size());
    return range;
}

}  // namespace holdfast
