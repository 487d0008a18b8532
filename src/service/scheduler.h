// service/scheduler.h: starts jobs when they are due, once, in order, with retries; the deterministic core of `serve`.
//
// Shape    set_jobs(); then step() again and again, at the latest when it says. All time is the World's, all work the
//          Executor's, all memory the Ledger's: what is due, runs or has ended is known again after a restart, and to all
//          schedulers that share the ledger
// Units    nanoseconds; wall time for what is due, steady time for timeouts
// Errors   the ledger's: what was not done is done by a later step; what a job does wrong is in its run
// Threads  one
// I1  a due time is run at most once, whatever the clock does and however many schedulers share the ledger
// I2  a run that has begun ends in the ledger: by itself, or as interrupted
// I3  what is due waits in the ledger until it begins, is skipped there, or its job leaves the configuration
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/world.h"
#include "ledger/ledger.h"
#include "policy/job.h"
#include "service/executor.h"

namespace holdfast::service {

struct SchedulerOptions {
    std::string host;
    std::string holder;           // of claims, as the ledger's liveness understands it
    std::size_t running_max = 4;  // at a time, on this host
    Nanoseconds lease = 60 * one_second;
    Nanoseconds stop_wait = 30 * one_second;  // from asking a run to stop to ending it
    ledger::Ledger::Liveness is_alive = [](const std::string&) { return std::optional<bool>(); };
    std::function<double()> load = [] { return 0.0; };  // of the machine
};

class Scheduler {
public:
    Scheduler(World& world, ledger::Ledger& ledger, Executor& executor, SchedulerOptions options);

    // At the start, and again when the configuration has changed: what runs goes on.
    void set_jobs(std::vector<policy::Job> jobs);
    // Does what is to be done now; the wall time at which it wants to be called again at the latest.
    Nanoseconds step();
    // Starts nothing more and asks what runs to stop.
    void stop();
    bool is_idle() const { return running() == 0; }
    std::size_t running() const { return running_.size() - over_.size(); }

private:
    struct Known {
        policy::Job job;
        Nanoseconds considered = 0;  // due times up to here have been looked at
        Nanoseconds begun = 0;       // due time of the latest run that began here
        bool looked = false;         // how its last run ended is known
    };
    struct Due {
        Nanoseconds time;
        std::string job;
        bool operator>(const Due& other) const { return std::tie(time, job) > std::tie(other.time, other.job); }
    };
    struct Running {
        ledger::Run run;
        Nanoseconds deadline = 0;  // steady; 0: none
        Nanoseconds kill_at = 0;   // steady; 0: it was not asked to stop
        std::string why;           // it was asked to stop
    };
    // A run whose process is gone or never began; what is said here counts unless it said itself how it ended.
    struct Over {
        std::string run;
        ledger::RunState state = ledger::RunState::interrupted;
        Code code = Code::terminated;
        std::string error = {};
    };

    void notice_clock();
    void do_what_is_due();
    void take_ended();
    void look_around();
    void watch_others();
    void take_due();
    void start_waiting();
    void end_overlong();

    void plan_next(Known& known);
    std::vector<Nanoseconds> due_times(const Known& known) const;
    void add(Known& known, ledger::Run run);
    void add_due_time(Known& known, Nanoseconds due);
    ledger::Run new_run(const Known& known, Nanoseconds due) const;
    void drop_pointless_retries();
    std::vector<ledger::Run> ready();
    void try_to_start(Known& known, const ledger::Run& run);
    bool must_wait(const Known& known);
    void begin(Known& known, const ledger::Run& run);
    void make_way(const std::string& job);
    void skip(const ledger::Run& run, const std::string& why);
    void drop(const ledger::Run& run);
    void ask_to_stop(Running& running, const std::string& why);
    void settle(const Over& over);
    void after_end(const ledger::Run& run);
    void retry(Known& known, const ledger::Run& failed);
    void add_those_after_others();
    Known* known(const std::string& job);

    World& world_;
    ledger::Ledger& ledger_;
    Executor& executor_;
    const SchedulerOptions options_;
    std::map<std::string, Known> jobs_;
    std::vector<std::string> after_others_;  // those without a schedule that come after others
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
    std::map<std::string, ledger::Run> waiting_;  // by id: what of the ledger's list is for us to start
    std::map<std::string, Running> running_;      // by id: what we have started
    std::deque<Over> over_;                       // of running_, not yet settled in the ledger
    std::set<std::string> elsewhere_;             // runs of our jobs that others have started
    std::optional<std::set<std::string>> busy_;   // jobs that are due or running anywhere, once asked in a step
    Nanoseconds last_now_;
    Nanoseconds last_steady_;
    Nanoseconds here_since_;   // what was due before was missed
    Nanoseconds look_at_ = 0;  // when we look around next; steady
    bool stopping_ = false;
};

// The newest of the schedule's times in (after, now]; nothing when there is none.
std::optional<Nanoseconds> newest_due(const policy::Schedule& schedule, Nanoseconds after, Nanoseconds now);

}  // namespace holdfast::service
