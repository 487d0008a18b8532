// policy/keep_policies.h: several sets of rules over the snapshots of a repository: by job, by class, by source. Pure.
//
// I1  a snapshot goes only when a policy speaks of it and none that does keeps it
// Units    as policy/retention.h
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "policy/job.h"
#include "policy/retention.h"

namespace holdfast::policy {

// A tag of this name keeps its snapshot by the retention that is its value, whatever else does.
constexpr std::string_view retention_tag = "retention";

class KeepPolicies {
public:
    // `named`: retention by name, beside the classes that everybody has.
    KeepPolicies(std::span<const Job> jobs, std::map<std::string, Retention> named);

    // No job has a retention: nothing would ever go.
    bool empty() const;
    // The longest window of any retention of jobs of this source.
    std::optional<Nanoseconds> window_of(const std::string& source) const;

    // For each candidate why it stays, or why it goes.
    struct Decision {
        bool keep = true;
        std::vector<std::string> reasons;
    };
    std::vector<Decision> decide(std::span<const Candidate> candidates) const;

private:
    struct Policy {
        std::string name;  // in reasons: "gfs", "job nightly", "tag compliance"
        Retention rules;
    };
    std::vector<Policy> policies_for(const Candidate& candidate, std::string& stays_because) const;

    std::vector<Job> jobs_;
    std::map<std::string, Retention> named_;
};

// "orders-db" is the source of "orders-db" and of "orders-db@host".
bool is_source_of(std::string_view snapshot_source, std::string_view name);

}  // namespace holdfast::policy
