// engine/windows.h: from which instants a source can be brought back: its snapshots, and the journal between them.
//
// Shape    a window begins with a base (a snapshot whose moment lies in an unbroken run of the journal) and goes on to
//          the end of that run
// Errors   those of reading a journal
// Threads  one
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "repo/journal.h"
#include "repo/repository.h"

namespace holdfast::engine {

struct Window {
    repo::SnapshotId base;  // the oldest one
    std::uint64_t bases = 0;
    Moment from;      // of that base
    Moment to;        // the latest instant that can be reached
    std::string why;  // it does not go on from an earlier one
    bool newest = false;
    std::uint64_t records = 0;
    std::uint64_t stored = 0;
    std::vector<Pause> pauses = {};
};

// Oldest first. Runs without a base are none.
std::vector<Window> windows_of(const repo::Journal& journal, const std::vector<repo::Snapshot>& snapshots);

// The segment of the run in which what comes after `position` begins, where records begin whole; nothing when it is
// not in this run.
std::optional<std::size_t> find_position(const repo::Journal& journal, const repo::Journal::Run& run,
                                         const Position& position);

// How to get to an instant.
struct Route {
    const repo::Snapshot* base = nullptr;
    std::size_t begin = 0;  // segments()
    std::size_t end = 0;
    Moment reaches;     // no later than this
    bool whole = true;  // false: the wanted instant is beyond what the journal has
};
// Nothing: no base is as old as that, or a later snapshot without a journal is nearer.
std::optional<Route> find_route(const repo::Journal& journal, const std::vector<repo::Snapshot>& snapshots,
                                Nanoseconds instant);

// What is needed of a journal so that every instant within `window` (0: since the oldest base) can be reached.
struct Needed {
    std::vector<bool> segments;
    std::set<repo::SnapshotId> bases;
};
Needed needed(const repo::Journal& journal, const std::vector<repo::Snapshot>& snapshots, Nanoseconds window,
              Nanoseconds now);

// Sources that have a journal, among those of the snapshots.
std::vector<std::string> sources_with_journals(const repo::Repository& repository);

}  // namespace holdfast::engine
