// ledger/run.h: one execution of a job or of a verb by hand, as the ledger knows it.
//
// Units    nanoseconds since 1970 UTC; 0: not yet
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/world.h"

namespace holdfast::ledger {

enum class RunState : std::uint8_t {
    due,  // waits for its time, a retry's backoff or an hour in which it may start
    running,
    done,
    partial,  // done in part: a required copy or some items are missing
    failed,
    interrupted,  // its process went away
    skipped,      // not started: the one before was still running, or its time had passed
};
std::string_view name_of(RunState state);
RunState state_named(std::string_view name);  // corrupt when there is none
constexpr bool has_ended(RunState state) { return state != RunState::due && state != RunState::running; }

// What a run did with one source or snapshot.
struct Outcome {
    std::string source = {};
    std::string component = {};  // as reports group it: "PostgreSQL", "Configuration"
    std::string snapshot = {};   // hex; empty: none was made
    std::string result = {};     // "ok", or the slug of an error; of a proof "pass", "fail" or "not_tested"
    std::string error = {};      // what went wrong, or what a pass does not mean, for people
    int proof_level = -1;        // -1: not a proof
    double seconds = 0;
    double restore_seconds = 0;  // of a proof or restore: how long the data took to be back
    std::uint64_t bytes = 0;     // logical
    std::uint64_t stored = 0;
    std::uint64_t items = 0;
};

struct Proof {
    Nanoseconds ended = 0;
    Outcome outcome;
};

struct Progress {
    std::string what = {};
    std::uint64_t items = 0;
    std::uint64_t items_total = 0;  // 0: not known
    std::uint64_t bytes = 0;
    std::uint64_t bytes_total = 0;
};

struct Run {
    std::string id;   // 16 hex digits
    std::string job;  // empty: by hand, without a job
    std::string verb;
    std::string repository;
    RunState state = RunState::due;
    Nanoseconds due = 0;       // of the schedule; by hand when it was asked for
    Nanoseconds start_at = 0;  // due with jitter, backoff and allowed hours
    int attempt = 1;
    bool scheduled = false;  // by a scheduler, who tries it again when it fails; else by hand
    bool stop = false;       // somebody asked it to end
    Nanoseconds started = 0;
    Nanoseconds ended = 0;
    std::string host;
    std::string code;   // slug of the error that ended it; empty: none
    std::string error;  // for people, with its hint
    Progress progress;
    std::vector<Outcome> outcomes;
};

std::string new_run_id(Random& random);

}  // namespace holdfast::ledger
