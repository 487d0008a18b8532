// store/retry_versions.h: asks again for old versions when a store did not answer.
//
// Errors   as store/retry.h
// Threads  as versions.h
// Limits   list_versions() gathers a whole listing before it tells any of it, about 250 bytes a version
#pragma once

#include <memory>

#include "store/backoff.h"
#include "store/versions.h"

namespace holdfast {

class RetryingVersions final : public Versions {
public:
    RetryingVersions(std::unique_ptr<Versions> inner, World& world, RetryBudget budget = {});

    bool list_versions(const std::function<void(const ObjectVersion&)>& each) override;
    std::optional<Bytes> read_version(const ObjectVersion& version) override;

private:
    template <class Call>
    auto retry(std::string_view verb, std::string_view name, const Call& call);

    const std::unique_ptr<Versions> inner_;
    World& world_;
    const RetryBudget budget_;
    bool has_answered_ = false;
};

}  // namespace holdfast
