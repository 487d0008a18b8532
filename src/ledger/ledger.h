// ledger/ledger.h: what happened and what is about to happen: runs with their outcomes and logs, and the followers' reach.
//
// Shape    a projection: the truth is the signed records in the repositories, from which `ledger rebuild` makes it anew; a run
//          that has none yet is kept apart until it has.
//          A run is claimed, its lease renewed while it works, then ended; a lease that runs out makes it interrupted
// Units    nanoseconds since 1970 UTC
// Errors   those of Database; newer_format for a ledger that a newer holdfast has made
// Threads  any; other processes and, with PostgreSQL, other hosts at the same time
// I1  of one job, due time and attempt there is one run, whoever asks for it
// I2  of a job that runs alone at most one run is running
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/world.h"
#include "ledger/database.h"
#include "ledger/run.h"

namespace holdfast::ledger {

constexpr std::size_t log_bytes_max = 64 * 1024;  // of a run; its end is kept

// "sqlite:/path", a path, or "postgres://…".
struct Place {
    std::string url;
};

// False: opening it would make it.
bool exists(const Place& place);

enum class Claim : std::uint8_t {
    claimed,
    taken,  // somebody else has, or had, this run
    busy,   // another run of the job is running, and it is to run alone
};

struct RunFilter {
    std::optional<std::string> job = {};
    std::optional<std::string> source = {};
    std::optional<RunState> state = {};
    Nanoseconds since = 0;
    std::size_t count_max = 50;
};

// How far a follower has come.
struct Reach {
    std::string source;
    std::string state;          // "following", "waiting", "stopped"
    Nanoseconds reached = 0;    // the latest instant that is stored; 0: not known yet
    Nanoseconds objective = 0;  // no more than this may be lost; 0: none
    Nanoseconds told = 0;       // when this was written
    std::uint64_t restarts = 0;
    std::string error;
};

class Ledger {
public:
    static std::unique_ptr<Ledger> open(const Place& place, World& world);
    static std::unique_ptr<Ledger> open(std::unique_ptr<Database> database, World& world);

    // Puts a run on the list to be started at `run.start_at`. What waits of that job, due time and attempt then: this one or
    // one from before; nothing when it has begun already.
    std::optional<Run> add_due(const Run& run);
    void postpone(const std::string& id, Nanoseconds start_at);
    // Makes a run running, one that waits or a new one, and `holder` its holder until the lease ends. Asked again by the
    // same holder, as when the answer was lost, it says the same.
    Claim claim(const Run& run, const std::string& holder, Nanoseconds lease, bool alone);
    // Hands a claimed run to the process that does the work.
    void hand_over(const std::string& id, const std::string& holder, Nanoseconds lease);
    // False: the run is to stop, or is not running any more.
    bool renew(const std::string& id, Nanoseconds lease, const Progress& progress);
    void request_stop(const std::string& id);
    // False: it was not running any more, and nothing was changed.
    bool end(const Run& run);
    // Says of a run that has ended why it did.
    void explain(const std::string& id, const std::string& error);
    void drop_due(const std::string& id);
    // Adds a run that has ended, such as one that a record names; false when it is known.
    bool add_ended(const Run& run);
    // Whether a run of the verb worked on the snapshot; with `ended`, one that ended within a minute of it.
    bool knows(const std::string& snapshot, const std::string& verb, std::optional<Nanoseconds> ended = {}) const;
    void append_log(const std::string& id, const std::string& text);

    // Runs whose holder is gone become interrupted: their lease has ended and `is_alive(holder)` does not say otherwise, or
    // it says that the holder is dead.
    using Liveness = std::function<std::optional<bool>(const std::string& holder)>;
    std::vector<Run> end_abandoned(const Liveness& is_alive);

    std::optional<Run> find(const std::string& id_or_start) const;  // usage when several begin so
    std::vector<Run> runs(const RunFilter& filter) const;           // newest first, with outcomes
    std::vector<Run> waiting() const;                               // due, in the order of their start
    std::vector<Run> running() const;
    std::set<std::string> busy_jobs() const;                // of which one is due or running
    std::optional<Run> last(const std::string& job) const;  // by due time, whatever its state
    std::optional<Run> last_ended(const std::string& job) const;
    std::optional<Run> last_done(const std::string& job) const;
    std::optional<Run> last_success(const std::string& job) const;  // done, also in part
    std::map<std::string, Nanoseconds> last_due() const;            // of every job
    std::string log(const std::string& id) const;
    // The newest proof of each source.
    std::vector<std::pair<Run, Outcome>> newest_proofs() const;
    std::vector<Proof> proofs(const std::string& source) const;             // newest first, at most 100
    std::vector<double> recovery_seconds(const std::string& source) const;  // newest first

    void tell(const Reach& reach);
    std::vector<Reach> reaches() const;

    // Runs that ended and have no signed record in a repository yet, those first that ended first.
    std::vector<Run> without_note(std::size_t count_max) const;
    // It has one, which says that it ended so.
    void has_note(const Run& run);

    std::string name() const;

private:
    Ledger(std::unique_ptr<Database> database, World& world) : database_(std::move(database)), world_(world) {}
    std::vector<Run> select(const std::string& rest, std::initializer_list<Value> parameters) const;
    void insert(const Run& run, const std::string& holder, Nanoseconds lease, bool alone);
    void add_outcomes(std::vector<Run>& runs) const;
    void insert_outcomes(const Run& run);
    Nanoseconds lease_now() const;

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::unique_ptr<Database> database_;
    World& world_;
};

}  // namespace holdfast::ledger
