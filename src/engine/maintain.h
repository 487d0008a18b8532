// engine/maintain.h: the verbs that keep a repository sound and small: check, forget, prune, copy.
//
// Errors   unreachable, corrupt for what cannot even be read to begin with; damage that is found is data
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/progress.h"
#include "policy/keep_policies.h"
#include "policy/retention.h"
#include "repo/repository.h"

namespace holdfast::engine {

struct CheckPlan {
    bool read_data = false;
    std::optional<double> share;  // with read_data: this part of the packs (0…1), the least recently read first
    std::optional<std::uint64_t> bytes_max;  // with read_data: about this many bytes
};
struct Damage {
    std::string object;  // its name in the store
    std::string kind;    // "missing", "damaged", "unreadable", "swapped", "forged"
    std::string effect;  // "snapshot 7c19…: 3 items cannot be restored: /a/b, …"
};
struct CheckReport {
    std::uint64_t snapshots = 0;
    std::uint64_t packs = 0;
    std::uint64_t chunks = 0;
    std::uint64_t bytes = 0;  // read
    std::vector<Damage> errors;
    std::set<repo::PackId> damaged;  // packs of which something is missing
};
CheckReport check(repo::Repository& repository, const CheckPlan& plan, Progress& progress);

// How long every instant of a source stays reachable, by its name (with or without @host); not named: from its oldest
// base on.
using JournalWindows = std::map<std::string, Nanoseconds>;

// As retention sees it.
policy::Candidate candidate_of(const repo::Snapshot& snapshot);

struct ForgetPlan {
    std::vector<repo::SnapshotId> ids;  // these, or by rule:
    std::optional<policy::Retention> keep;
    std::optional<policy::KeepPolicies> policies;  // or by those of the configuration
    std::optional<std::string> source;             // only this source's (with or without @host)
    bool trust_clock = false;                      // by rule: although this machine's clock jumped
    bool allow_last = false;
    bool allow_unreadable = false;  // by id: although a note cannot be read, which may have been a hold
    bool dry_run = false;
    JournalWindows windows = {};
};
struct Verdict {
    repo::Snapshot snapshot;
    std::vector<std::string> reasons;  // why it is kept ("daily 2026-03-01", "last 3"), or goes
};
struct ForgetReport {
    std::vector<Verdict> keep;
    std::vector<Verdict> remove;
};
// retention (14) when it would remove the last snapshot of a source without allow_last or one that is, or may be, held, or
// the clock jumped.
ForgetReport forget(repo::Repository& repository, const ForgetPlan& plan);

struct PrunePlan {
    bool dry_run = false;
    double unused_max = 0.05;  // share of the stored bytes that may stay unused
    JournalWindows windows = {};
    bool trust_clock = false;               // for windows: although this machine's clock jumped
    std::uint64_t checkpoint_entries = 64;  // so many of the logs since the last checkpoint make one due
};
struct PruneReport {
    std::uint64_t packs_deleted = 0;
    std::uint64_t packs_kept = 0;
    std::uint64_t packs_rewritten = 0;
    std::uint64_t packs_pending = 0;  // condemned, waiting for sessions that were open
    std::uint64_t bytes_freed = 0;
    std::uint64_t journal_bytes_freed = 0;
    std::uint64_t segments_packed = 0;
    struct LeftJournal {
        std::string source;
        std::string why;
    };
    std::vector<LeftJournal> journals_left;  // as they were: nothing of them expired
    std::vector<std::string> waiting_for;    // sessions: "signer 3f2a… lane 1, host a, open since 2026-…"
};
PruneReport prune(repo::Repository& repository, const PrunePlan& plan, Progress& progress);

// Ends the open sessions of a signer (by its key slot id), for machines that are gone, and declares void what lies in its logs
// and is no entry of them, or was committed and is no snapshot. Others' sessions: for who may collect.
struct UnlockPlan {
    std::string signer;
    bool dry_run = false;
};
struct UnlockReport {
    std::uint64_t fenced = 0;
    std::vector<std::string> voided;  // objects of logs where they were broken; ids of snapshots
};
UnlockReport unlock(repo::Repository& repository, const UnlockPlan& plan);

struct CopyReport {
    struct Copied {
        repo::SnapshotId id;
        std::string source;
        bool already_there = false;
    };
    std::vector<Copied> snapshots;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_added = 0;
    std::uint64_t bytes_stored = 0;
};
// Re-seals with the keys of `to`; the ids stay the origin's. Empty `ids`: all.
CopyReport copy(repo::Repository& from, repo::Repository& to, const std::vector<repo::SnapshotId>& ids, bool dry_run,
                Progress& progress);

}  // namespace holdfast::engine
