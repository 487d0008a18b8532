// engine/repair.h: what is damaged in a repository comes back from another one that has the same snapshots.
//
// Shape    check → for each snapshot that both have: what no sound pack holds is read there and stored anew here. Chunks are
//          sealed anew under this repository's keys; ids decide that they are the same. A replica gets whole packs instead,
//          verbatim from its origin or another replica; the hash that is their name decides
// Errors   denied, unreachable; corrupt of the other repository ends one snapshot, not the repair
// Threads  one thread
#pragma once

#include <string>
#include <vector>

#include "engine/maintain.h"

namespace holdfast::engine {

struct RepairReport {
    CheckReport before;
    std::uint64_t chunks = 0;  // stored anew
    std::uint64_t bytes = 0;   // of them, plaintext
    struct Failed {
        repo::SnapshotId id;
        std::string why;
    };
    std::vector<repo::SnapshotId> repaired;  // something of theirs was stored anew
    std::vector<Failed> failed;
    std::vector<repo::SnapshotId> absent;     // not in the other repository, so nothing could be looked up
    std::vector<repo::SnapshotId> not_whole;  // of these, those that need what is damaged; not told by a dry run
    std::vector<Damage> left;                 // of `before`, what lies in no pack, so that no other repository gives it
};
RepairReport repair(repo::Repository& repository, repo::Repository& from, const CheckPlan& plan, bool dry_run,
                    Progress& progress);

struct ReplicaRepairReport {
    CheckReport before;
    std::vector<std::string> brought;  // packs, or with a dry run: they can be
    std::uint64_t bytes = 0;
    std::vector<Damage> failed;
    std::vector<Damage> left;  // of `before`, what is no pack
};
// `store`: the replica's own, without the guard that lets nobody write to it. A damaged pack goes only when a sound one is at
// hand; killed in between, the next `copy` brings it.
ReplicaRepairReport repair_replica(repo::Repository& replica, Store& store, Store& from, const CheckPlan& plan,
                                   bool dry_run, Progress& progress);

}  // namespace holdfast::engine
