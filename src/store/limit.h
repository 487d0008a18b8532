// store/limit.h: holds a store's traffic to so many bytes a second.
//
// Units    bytes a second; 0 is no limit
// Errors   cancelled or terminated while it waits
// Threads  as store.h; all callers share one limit a direction
// Limits   an object travels at full speed and the next caller waits for its share: even over seconds only
#pragma once

#include <mutex>

#include "store/decorator.h"

namespace holdfast {

struct Bandwidth {
    std::uint64_t up = 0;
    std::uint64_t down = 0;
};

class LimitedStore final : public StoreDecorator {
public:
    LimitedStore(std::unique_ptr<Store> inner, Bandwidth bytes_per_second, World& world);

    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;

private:
    // One direction: when the bytes that were let through so far are paid for.
    struct Lane {
        std::uint64_t bytes_per_second = 0;
        Nanoseconds paid_at = 0;
    };
    void wait_for_turn(Lane& lane, std::uint64_t bytes);
    void charge(Lane& lane, std::uint64_t bytes);

    World& world_;
    std::mutex mutex_;
    // guarded by mutex_
    Lane up_;
    Lane down_;
};

}  // namespace holdfast
