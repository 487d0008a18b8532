// engine/replicate.h: a repository's objects, byte for byte, in another store, by the holder of any key.
//
// Shape    begin_replica() once; Replication::run() brings over what is missing: packs, fragments of the index, what refers to
//          them, log entries, and then one cut, by which all of it counts at once; follow_origin() does so again and again
// Errors   corrupt (what everybody needs is damaged at the origin; both were written to), rolled_back (the origin shows less than
//          its replica), denied (no replica, or promoted), unreachable, no_space. A damaged pack is a finding, not an error
// Threads  the caller's, and workers for packs
// Limits   packs_at_once packs in memory; about 80 bytes a pack and 150 a log entry that the target has
// I1  nothing of the target is ever overwritten or removed, whatever the origin lost
// I2  what a cut shows was in the target before it, less what findings name: the target was asked for each object that was
//     written, after it had taken all of them
// Source   doc/format/replica.md; doc/adr/0013; review.md C10
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "engine/maintain.h"
#include "engine/rounds.h"
#include "repo/index.h"
#include "repo/replica.h"

namespace holdfast::engine {

// Makes an empty store a replica: its mark, key slots and, last, the configuration of `from`. One that was cut off is taken up.
void begin_replica(repo::Repository& from, Store& to);

struct ReplicatePlan {
    bool dry_run = false;
    bool compare = false;  // read what is there already, and compare it
};

struct Moved {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
};

struct ReplicateReport {
    std::map<std::string, Moved> moved;  // by the first part of the name: "data", "log" …; of a dry run: would be
    std::vector<repo::SnapshotId> snapshots;  // that the replica shows from now on
    std::uint64_t there = 0;                  // packs that were there already
    std::vector<Damage> findings;             // packs that were not copied, or differ
    std::vector<repo::SnapshotId> not_whole;  // snapshots that need one of them, as far as this key sees them
    bool sees_what_is_not_whole = true;       // false: this key cannot tell which snapshots need them
    Nanoseconds lag = 0;                      // how old the oldest commit was that the replica lacked; 0: none
    Moved sum() const;
};

class Replication {
public:
    static constexpr std::size_t packs_at_once = 4;

    // `to` lives as long. What it holds is read when run() first needs it, and remembered.
    Replication(repo::Repository& from, Store& to, Progress& progress);

    ReplicateReport run(const ReplicatePlan& plan);
    // How old the oldest commit is, now, that the replica is known to lack.
    Nanoseconds lag() const;
    // The next run looks again at everything that the target holds, and tries again what was damaged.
    void forget_what_is_there();

private:
    using Sizes = std::unordered_map<std::string, std::uint64_t>;  // of objects, by name
    // Throws corrupt when these are not the bytes that the name stands for.
    using Verify = std::function<void(const std::string& name, ByteView bytes)>;
    enum class Damaged : std::uint8_t {
        stops,
        is_found,
        is_left_out
    };  // what an object of the origin does that is damaged

    void refuse_unless_replica();
    void read_origin();
    std::set<repo::PackId> doomed_packs() const;
    void check_history();
    void check_lane(const repo::LaneName& lane, bool beyond);
    void find_torn_lanes();
    std::uint64_t begin_of(const repo::LaneName& lane) const;
    bool lacks_slot(const repo::LaneName& lane, std::uint64_t slot);
    void scan_slots();
    void scan_lane(const repo::LaneName& lane, std::uint64_t begin, std::uint64_t end);
    void compare_slots(const repo::LaneName& lane, std::uint64_t first, const std::vector<std::string>& objects,
                       const std::vector<std::optional<Bytes>>& stored);
    void take_entry(const repo::LogEntry& entry);

    bool copy_packs();
    std::vector<repo::IndexedPack> missing_packs();
    void copy_pack(const repo::IndexedPack& pack);
    std::optional<Bytes> whole_pack(const repo::PackRef& ref);
    void compare_pack(const repo::PackRef& ref);
    bool account_for_gone();

    void copy_what_slots_need();
    void copy_fragments();
    void compare_fragment(const std::string& name);
    void copy_key_slots();
    void copy_journals();
    void copy_listed(const std::string& prefix, Damaged damaged, const Verify& verify);
    void copy_collections(const Verify& verify);
    void copy_slots();
    void copy_lane(const repo::LaneName& lane, std::uint64_t end);
    void publish_cut();
    void confirm_written();
    void copy_late();
    void tell_what_is_new();

    std::vector<ObjectInfo> missing(const std::string& prefix, const Verify& verify);
    // The names of those that the origin has no more.
    std::vector<std::string> copy_all(const std::vector<ObjectInfo>& objects, Damaged damaged, const Verify& verify);
    bool copy_object(const ObjectInfo& object, Damaged damaged, const Verify& verify);
    void put(const std::string& name, ByteView bytes);
    void put_or_find(const repo::PackRef& pack, ByteView bytes);
    bool create(const std::string& name, ByteView bytes);
    void compare(const std::string& name, ByteView bytes);
    std::unordered_map<std::string, std::uint64_t>& there(const std::string& prefix);
    std::unordered_map<repo::PackId, std::uint64_t, IdHash>& packs_there();
    std::uint64_t cut_there(const repo::LaneName& lane) const;
    void count(const std::string& name, std::uint64_t bytes);
    void add_finding(const std::string& object, const std::string& kind, const std::string& why);
    void add_finding(const repo::PackRef& pack, const std::string& kind, const std::string& why);
    [[noreturn]] void refuse_difference(const std::string& name) const;

    repo::Repository& from_;
    Store& to_;
    Progress& progress_;
    ReplicatePlan plan_;

    // Of the origin, in one round.
    repo::Cut cut_;
    std::set<repo::PackId> doomed_;  // by verdicts from before the cut
    std::vector<ObjectInfo> late_;   // verdicts and checkpoints from before the cut: they go after it
    std::vector<repo::FragmentBody> fragments_;
    std::map<repo::SnapshotId, Nanoseconds> commits_;  // that the replica lacks, by when they were made
    std::map<repo::LaneName, std::vector<crypto::Digest>> slot_hashes_;  // from begin_of(lane) on
    Moved slots_;                                                        // that the replica lacks

    // Of the target; what was copied is added.
    std::optional<repo::Replica> replica_;
    std::map<std::string, std::unordered_map<std::string, std::uint64_t>> there_;  // sizes by name, by prefix
    std::optional<std::unordered_map<repo::PackId, std::uint64_t, IdHash>> packs_there_;
    bool history_checked_ = false;
    std::set<repo::LaneName> torn_;  // something below their cut is missing, or all of it is compared

    std::mutex mutex_;
    // guarded by mutex_
    ReplicateReport report_;
    std::map<std::string, Damage> findings_;  // by object; these and
    std::set<repo::PackId> lacking_;          // packs of which the target has no whole copy are kept between runs
    std::vector<std::pair<std::string, std::uint64_t>> written_;  // not yet seen there; names and lengths
    std::set<repo::PackRef> gone_;  // that the origin had no more when they were to be copied
};

// Of these snapshots those of which something lies only in `lacking`, or in no pack at all. denied: this key cannot tell.
struct NotWhole {
    std::vector<repo::SnapshotId> surely;
    std::vector<repo::SnapshotId> contested;  // somebody lied about what they reach, and only a reader's key sees who
};
NotWhole not_whole(repo::Repository& repository, const std::vector<repo::SnapshotId>& ids,
                   const std::set<repo::PackId>& lacking);

// Of these those that the repository does not show, or of which its store does not list everything, in its whole length.
std::vector<repo::SnapshotId> not_there(repo::Repository& repository, const std::vector<repo::SnapshotId>& ids);

struct FollowOriginPlan {
    Rounds rounds = {};
    Nanoseconds look_again = 3600 * one_second;  // at everything that the target holds
};
struct FollowOriginEvents {
    std::function<void(const ReplicateReport&)> round = {};  // of each that moved or found something
    std::function<void(Nanoseconds began)> whole = {};       // then the target lacked nothing of before `began`
    std::function<void(const Error&, Nanoseconds lag, Nanoseconds wait)> trouble = {};
};
// Until the world's stop; what a round is at is then left for the next run. What moved in all.
ReplicateReport follow_origin(repo::Repository& from, Store& to, const FollowOriginPlan& plan,
                              const FollowOriginEvents& events, Progress& progress);

struct PromoteReport {
    std::vector<repo::SnapshotId> beyond;     // came after the last cut, and are whole
    std::vector<repo::SnapshotId> forgotten;  // came after it, and are not
    std::vector<repo::SnapshotId> contested;  // came after it; whether they are, this key cannot tell
};
// Snapshots of a copy that was cut off are looked at one by one; those that are not whole here are forgotten.
PromoteReport promote(repo::Repository& replica, bool dry_run);

}  // namespace holdfast::engine
