// policy/retention.h: which snapshots a set of rules keeps. Pure: no clock, no store.
//
// Units    nanoseconds since 1970 UTC; calendar periods in the time zone given (default: local)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/world.h"

namespace holdfast::policy {

struct Retention {
    std::uint32_t last = 0;
    std::uint32_t hourly = 0;
    std::uint32_t daily = 0;
    std::uint32_t weekly = 0;  // ISO weeks
    std::uint32_t monthly = 0;
    std::uint32_t yearly = 0;
    std::optional<Nanoseconds> within{};  // of the newest one of the group
    std::vector<std::string> tags{};      // "key" or "key=value"
    std::uint32_t last_good = 0;          // proven ones
    bool empty() const {
        return last + hourly + daily + weekly + monthly + yearly + last_good == 0 && !within && tags.empty();
    }
};

struct Candidate {
    std::string group;  // source and host: rules count within a group
    Nanoseconds received = 0;
    std::map<std::string, std::string> tags;
    bool held = false;     // always kept
    bool good = false;     // proven at V3 or better, and not flagged
    bool flagged = false;  // suspicious: never the one that a period keeps while an unflagged one exists
};

// For each candidate the reasons to keep it; none: it goes. In each period the newest unflagged one is kept.
std::vector<std::vector<std::string>> keep_reasons(std::span<const Candidate> candidates, const Retention& rules);

}  // namespace holdfast::policy
