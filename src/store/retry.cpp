#include "store/retry.h"

#include <type_traits>
#include <vector>

#include "base/error.h"

namespace holdfast {

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
        return created == Created::exists && settle ? settled(name, bytes) : created;
    });
}

Created RetryingStore::settled(std::string_view name, ByteView bytes) {
    try {
        const auto there = inner().read(name);
        if (!there) throw Error{Code::unreachable, "{} says that {} exists, but does not give it", url(), name};
        return equal(*there, bytes) ? Created::created : Created::exists;
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        return Created::unseen;
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
