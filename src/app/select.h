// app/select.h: which snapshot a user means. Pure: works on a list of snapshots.
//
// Shape    "7c19", "latest", "good", a source's name; each may be followed by ":/path"
// Errors   not_found for an unknown snapshot, and for `good`; usage when several are meant
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"
#include "repo/snapshot.h"

namespace holdfast::app {

struct Wanted {
    std::string text = "latest";
    std::optional<std::string> source;
    std::optional<std::string> at;
};
// --source and --at
void add_selection(Options& options, Wanted& wanted);

struct Selected {
    const repo::Snapshot* snapshot = nullptr;
    std::string path;                  // after ":"; empty: all of it
    std::vector<std::string> remarks;  // for people: the instant that --at was understood as, and what was taken
};

Selected select_snapshot(std::span<const repo::Snapshot> snapshots, const Wanted& wanted, Nanoseconds now);

// By the beginning of an id.
const repo::Snapshot& snapshot_by_id(std::span<const repo::Snapshot> snapshots, std::string_view prefix);

// With or without "@host".
bool is_source(const repo::Snapshot& snapshot, std::string_view wanted);

// Time of day without zone or "Z": such a TIME means local time.
bool is_local_time(std::string_view time);

}  // namespace holdfast::app
