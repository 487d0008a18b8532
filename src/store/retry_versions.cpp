#include "store/retry_versions.h"

#include <vector>

#include "base/error.h"

namespace holdfast {

RetryingVersions::RetryingVersions(std::unique_ptr<Versions> inner, World& world, RetryBudget budget)
    : inner_(std::move(inner)), world_(world), budget_(budget) {}

template <class Call>
auto RetryingVersions::retry(std::string_view verb, std::string_view name, const Call& call) {
    Backoff backoff(world_, budget_);
    while (true) {
        try {
            auto answer = call();
            has_answered_ = true;
            return answer;
        } catch (Error& error) {
            backoff.wait_or_throw(error, verb, name, has_answered_);
        }
    }
}

bool RetryingVersions::list_versions(const std::function<void(const ObjectVersion&)>& each) {
    std::vector<ObjectVersion> found;
    const bool keeps_any = retry("listing", "old versions", [&] {
        found.clear();
        return inner_->list_versions([&](const ObjectVersion& version) { found.push_back(version); });
    });
    for (const ObjectVersion& version : found) each(version);
    return keeps_any;
}

std::optional<Bytes> RetryingVersions::read_version(const ObjectVersion& version) {
    return retry("reading an old version of", version.name, [&] { return inner_->read_version(version); });
}

}  // namespace holdfast
