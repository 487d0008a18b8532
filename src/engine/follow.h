// engine/follow.h: the verb that captures a source's changes as they come.
//
// Shape    the source's log from where the journal ends, in segments; where the log does not lead on from there, a new
//          run begins, and with it a new base
//          A store that is away or full is waited for, with the source's log kept open meanwhile (not with `once`)
// Errors   source_failed (also when it cannot be followed), busy, fenced, unreachable, no_space, cancelled
// Threads  the caller's, and one for a base
// Limits   what was read and not yet stored is at most segment_bytes, plus one piece
// I1  what is told to the source as durable, and reported as reached, has its base in the repository, too
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/progress.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::engine {

struct FollowPlan {
    std::map<std::string, std::string> tags = {};  // of bases
    std::string host = {};
    std::string domain = {};  // of deduplication; empty: the key's own
    bool once = false;
    bool take_over = false;
    Nanoseconds flush_every = 5 * one_second;
    Nanoseconds heartbeat = 60 * one_second;  // a segment is written this often when nothing happens
    std::size_t segment_bytes = 8 * 1024 * 1024;
    Nanoseconds compact_every = 3600 * one_second;
    Nanoseconds wait_max = 15 * one_second;  // between tries when the source or the store does not answer
};

struct FollowReport {
    std::optional<Moment> reached;  // can be restored
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t stored = 0;
    std::uint64_t segments = 0;
    std::vector<repo::Snapshot> bases;
    double seconds = 0;
};

struct FollowEvents {
    // The journal begins here, or goes on from here.
    std::function<void(const Follower::Start&)> began = {};
    std::function<void(const repo::Snapshot&)> base = {};
    std::function<void(const FollowReport&)> stored = {};
    // Up to here the source has nothing that is not stored, base and journal.
    std::function<void(const Moment&)> idle = {};
    std::function<void(const Error&, Nanoseconds wait)> trouble = {};
};

// `world` stops the following; the repository's own is to go on, so that what was read is stored and the journal ended.
FollowReport follow(Source& source, repo::Repository& repository, World& world, const FollowPlan& plan,
                    const FollowEvents& events, Progress& progress);

}  // namespace holdfast::engine
