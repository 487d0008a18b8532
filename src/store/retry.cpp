#include "store/retry.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {

namespace {

// The waits between the tries of one call: doubling, and each of random length, so that many clients of a
// store that comes back do not all ask at once.
class Backoff {
public:
    Backoff(World& world, const RetryBudget& budget) : world_(world), budget_(budget), wait_(budget.first_wait) {}

    // Returns when it is time for the next try; rethrows the error when there is none.
    void wait_or_throw(Error& error, std::string_view verb, std::string_view name, bool has_answered) {
        if (info_of(error.code()).retry != Retry::same_call) throw error;
        const Nanoseconds now = world_.clock.steady();
        if (tries_++ == 0) began_ = now;
        const auto half = static_cast<std::uint64_t>(wait_ / 2);
        const Nanoseconds next = static_cast<Nanoseconds>(half + world_.random.number() % (half + 1));
        if (now - began_ + next > (has_answered ? budget_.total : std::min(budget_.total, budget_.before_answer))) {
            if (tries_ > 1)
                error.add_notes({fmt::format("trying {} times in {}", tries_, human_duration(now - began_))});
            throw error;
        }
        world_.log.debug(fmt::format("{} {}: {}; again in {}", verb, name, error.message(), human_duration(next)));
        wait(world_, next);
        wait_ = std::min(2 * wait_, budget_.wait_max);
    }

private:
    World& world_;
    const RetryBudget& budget_;
    Nanoseconds wait_;
    Nanoseconds began_ = 0;
    std::uint64_t tries_ = 0;
};

}  // namespace

RetryingStore::RetryingStore(std::unique_ptr<Store> inner, World& world, RetryBudget budget)
    : StoreDecorator(std::move(inner)), world_(world), budget_(budget) {}

template <class Call>
auto RetryingStore::retry(std::string_view verb, std::string_view name, const Call& call) {
    Backoff backoff(world_, budget_);
    while (true) {
        try {
            if constexpr (std::is_void_v<decltype(call())>) {
                call();
                has_answered_ = true;
                return;
            } else {
                auto answer = call();
                has_answered_ = true;
                return answer;
            }
        } catch (Error& error) {
            backoff.wait_or_throw(error, verb, name, has_answered_);
        }
    }
}

Created RetryingStore::create(std::string_view name, ByteView bytes) {
    bool may_be_ours = false;
    return retry("creating", name, [&] {
        const bool settle = std::exchange(may_be_ours, true);
        const Created created = inner().create(name, bytes);
        if (created == Created::created || !settle) return created;
        return holds(name, bytes) ? Created::created : Created::exists;
    });
}

// Whoever may not look cannot tell whose it is.
bool RetryingStore::holds(std::string_view name, ByteView bytes) {
    try {
        const auto there = inner().read(name);
        if (!there) throw Error{Code::unreachable, "{} says that {} exists, but does not give it", url(), name};
        return equal(*there, bytes);
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        return false;
    }
}

std::optional<Bytes> RetryingStore::read(std::string_view name) {
    return retry("reading", name, [&] { return inner().read(name); });
}

std::optional<Bytes> RetryingStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    return retry("reading", name, [&] { return inner().read_range(name, offset, bytes); });
}

std::optional<ObjectInfo> RetryingStore::find(std::string_view name) {
    return retry("finding", name, [&] { return inner().find(name); });
}

void RetryingStore::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    const auto listing = retry("listing", prefix, [&] {
        std::vector<ObjectInfo> found;
        inner().list(prefix, [&](const ObjectInfo& info) { found.push_back(info); });
        return found;
    });
    for (const ObjectInfo& info : listing) each(info);
}

void RetryingStore::remove(std::string_view name) {
    retry("removing", name, [&] { inner().remove(name); });
}

std::optional<std::uint64_t> RetryingStore::bytes_free() {
    return retry("asking for the space left of", url(), [&] { return inner().bytes_free(); });
}

}  // namespace holdfast
