// store/retry.h: asks again when a store did not answer, and finds out what became of the first time.
//
// Units    nanoseconds of the world's steady clock
// Errors   what the store throws; an error whose code says `same_call` only when the budget is used up, then
//          with a note of the tries; cancelled or terminated while it waits
// Threads  as store.h; every call has a budget of its own
// Limits   list() gathers a whole listing before it tells any of it, about 150 bytes an object
// I1  create() after a lost reply: "exists" is settled by reading back, and own bytes count as created. What may be put and
//     not read (a writer's packs) is "unseen". Callers for whom it matters who created put something of their own into the
//     bytes.
// Source   review.md B5
#pragma once

#include <atomic>

#include "store/backoff.h"
#include "store/decorator.h"

namespace holdfast {

class RetryingStore final : public StoreDecorator {
public:
    RetryingStore(std::unique_ptr<Store> inner, World& world, RetryBudget budget = {});

    Created create(std::string_view name, ByteView bytes) override;
    std::optional<Bytes> read(std::string_view name) override;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;
    std::optional<ObjectInfo> find(std::string_view name) override;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override;
    void remove(std::string_view name) override;
    std::optional<std::uint64_t> bytes_free() override;

private:
    template <class Call>
    auto retry(std::string_view verb, std::string_view name, const Call& call);

    Created settled(std::string_view name, ByteView bytes);

    World& world_;
    const RetryBudget budget_;
    std::atomic<bool> has_answered_{false};
};

}  // namespace holdfast
