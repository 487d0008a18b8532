// policy/retention.h: which snapshots a set of rules keeps. Pure: no clock, no store.
//
// Units    nanoseconds since 1970 UTC; calendar periods in the time zone given (default: local)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
    std::uint32_t last_good = 1;          // proven ones
    // Of sources that are followed: how long every instant stays reachable. Says nothing of snapshots by itself.
    std::optional<Nanoseconds> window{};
    bool empty() const { return last + hourly + daily + weekly + monthly + yearly == 0 && !within && tags.empty(); }
};

// Rules that everybody has by name: operational (30 days), dr (90 days), compliance (7 years), test (7 days).
struct RetentionClass {
    std::string_view name;
    Nanoseconds within;
};
std::span<const RetentionClass> retention_classes();
std::optional<Retention> retention_class(std::string_view name);

// A snapshot that was made of an old dump has this tag: such ones are counted by themselves, so that an archive that is taken
// in pushes no capture out.
constexpr std::string_view imported_tag = "imported";

struct Candidate {
    std::string group{};       // source and host: rules count within a group
    Nanoseconds received = 0;  // of an import: when its dump was made
    std::map<std::string, std::string> tags{};
    bool held = false;     // always kept
    bool good = false;     // proven at V3 or better, and not flagged
    bool flagged = false;  // suspicious: never the one that a period keeps while an unflagged one exists
    std::string source{};  // for policies that speak of some sources only
};

// For each candidate the reasons to keep it; none: it goes. In each period the newest unflagged one is kept; of those
// received at the same time the last given is the newest.
std::vector<std::vector<std::string>> keep_reasons(std::span<const Candidate> candidates, const Retention& rules);

}  // namespace holdfast::policy
