#include "service/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "testing/sim_world.h"

namespace holdfast::service {
namespace {

using ledger::RunState;
using ::testing::ElementsAre;
using OneRun = ledger::Run;  // gtest has a Run of its own

constexpr Nanoseconds minute = 60 * one_second;
constexpr Nanoseconds hour = 60 * minute;
constexpr Nanoseconds day = 24 * hour;

// Runs last as long as they are told to and end as they are told to, in the ledger as real ones do.
class SimExecutor final : public Executor {
public:
    struct Fate {
        Nanoseconds lasts = minute;
        RunState state = RunState::done;
        bool silent = false;  // its process goes away without a word
        bool deaf = false;    // it does not stop politely
    };
    SimExecutor(SimWorld& sim, ledger::Ledger& ledger) : sim_(sim), ledger_(ledger) {}

    std::function<Fate(const policy::Job&, const OneRun&)> fate = [](const auto&, const auto&) { return Fate{}; };
    std::vector<std::pair<std::string, Nanoseconds>> starts;
    std::vector<Nanoseconds> lateness;
    int most_at_a_time = 0;

    void start(const policy::Job& job, const OneRun& run) override {
        starts.emplace_back(run.job, sim_.clock.now());
        lateness.push_back(sim_.clock.now() - run.start_at);
        const Fate its = fate(job, run);
        running_.push_back({run, its, sim_.clock.steady() + its.lasts});
        most_at_a_time = std::max(most_at_a_time, static_cast<int>(running_.size()));
    }
    void stop(const std::string& run, Urgency urgency) override {
        for (Going& each : running_) {
            if (each.run.id != run || (each.fate.deaf && urgency == Urgency::politely)) continue;
            each.ends = sim_.clock.steady();
            each.fate.state = RunState::failed;
            each.fate.silent = urgency == Urgency::at_once;
        }
    }
    std::vector<Ended> ended() override {
        std::vector<Ended> out;
        std::erase_if(running_, [&](const Going& each) {
            const bool stopped = !ledger_.renew(each.run.id, minute, {});
            if (each.ends > sim_.clock.steady() && !stopped) return false;
            OneRun run = each.run;
            run.state = stopped ? RunState::failed : each.fate.state;
            run.ended = sim_.clock.now();
            if (run.state == RunState::failed) run.code = stopped ? "terminated" : "source_failed";
            if (!each.fate.silent) ledger_.end(run);
            out.push_back({run.id, each.fate.silent ? "killed by signal 9" : ""});
            return true;
        });
        return out;
    }
    Nanoseconds next_end() const {
        Nanoseconds out = std::numeric_limits<Nanoseconds>::max();
        for (const Going& each : running_) out = std::min(out, each.ends);
        return out;
    }
    void lose_all() { running_.clear(); }

private:
    struct Going {
        OneRun run;
        Fate fate;
        Nanoseconds ends;
    };
    SimWorld& sim_;
    ledger::Ledger& ledger_;
    std::vector<Going> running_;
};

// Another host with its own view of the same ledger.
struct OtherHost {
    OtherHost(SimWorld& sim, const std::string& url)
        : ledger(ledger::Ledger::open(ledger::Place{url}, sim.world())),
          executor(sim, *ledger),
          scheduler(sim.world(), *ledger, executor, {.host = "there", .holder = "other", .running_max = 100'000}) {}
    std::unique_ptr<ledger::Ledger> ledger;
    SimExecutor executor;
    Scheduler scheduler;
};

class SchedulerTest : public ::testing::Test {
protected:
    SchedulerTest() { sim.clock.set_now(*parse_time("2026-03-01T00:00:00Z", 0)); }

    policy::Job job(const std::string& name, const std::string& schedule, const std::string& zone = "UTC") {
        policy::Job out;
        out.name = name;
        if (!schedule.empty()) out.schedule = policy::Schedule::parse(schedule, zone);
        out.timezone = zone;
        return out;
    }
    void begin(std::vector<policy::Job> jobs) {
        scheduler = std::make_unique<Scheduler>(sim.world(), *ledger, executor, options);
        scheduler->set_jobs(std::move(jobs));
    }
    std::string url() const { return folder.path() + "/ledger.db"; }
    // Both hosts, every second.
    void pass_with(OtherHost& other, Nanoseconds duration) {
        for (Nanoseconds end = sim.clock.steady() + duration; sim.clock.steady() < end; sim.clock.advance(one_second)) {
            scheduler->step();
            other.scheduler.step();
        }
    }
    // As the daemon does: sleeps until the scheduler wants to be called or a run ends.
    void pass(Nanoseconds duration) {
        const Nanoseconds end = sim.clock.steady() + duration;
        while (true) {
            const Nanoseconds wake = scheduler->step();
            const Nanoseconds until =
                std::min(sim.clock.steady() + std::max<Nanoseconds>(wake - sim.clock.now(), 1), executor.next_end());
            if (until >= end) break;
            sim.clock.advance(std::max<Nanoseconds>(until - sim.clock.steady(), 1));
        }
        sim.clock.advance(std::max<Nanoseconds>(end - sim.clock.steady(), 0));
        scheduler->step();
    }
    std::map<RunState, int> states(const std::string& job) const {
        std::map<RunState, int> out;
        for (const OneRun& run : ledger->runs({.job = job, .count_max = 1'000'000})) ++out[run.state];
        return out;
    }
    std::vector<std::string> starts() const {
        std::vector<std::string> out;
        for (const auto& [name, time] : executor.starts) out.push_back(name + " " + rfc3339(time));
        return out;
    }

    SimWorld sim{11};
    TemporaryFolder folder;
    std::unique_ptr<ledger::Ledger> ledger = ledger::Ledger::open(ledger::Place{url()}, sim.world());
    SimExecutor executor{sim, *ledger};
    SchedulerOptions options{.host = "here", .holder = "sim", .running_max = 100'000};
    std::unique_ptr<Scheduler> scheduler;
};

TEST_F(SchedulerTest, JobsStartWhenTheyAreDue) {
    begin({job("nightly", "0 2 * * *"), job("hourly", "30 1-2 * * *")});
    pass(day);
    EXPECT_THAT(starts(), ElementsAre("hourly 2026-03-01T01:30:00Z", "nightly 2026-03-01T02:00:00Z",
                                      "hourly 2026-03-01T02:30:00Z"));
    EXPECT_EQ(states("hourly")[RunState::done], 2);
}

TEST_F(SchedulerTest, AFailureIsRetriedWithGrowingBackoff) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 3, .backoff = 5 * minute};
    executor.fate = [](const auto&, const OneRun& run) {
        return SimExecutor::Fate{.state = run.attempt < 3 ? RunState::failed : RunState::done};
    };
    begin({nightly});
    pass(day);
    EXPECT_THAT(starts(), ElementsAre("nightly 2026-03-01T02:00:00Z", "nightly 2026-03-01T02:06:00Z",
                                      "nightly 2026-03-01T02:17:00Z"));
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::failed, 2}, {RunState::done, 1}}));
}

TEST_F(SchedulerTest, RetriesEnd) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 2, .backoff = minute};
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.state = RunState::failed}; };
    begin({nightly});
    pass(day);
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::failed, 3}}));
}

TEST_F(SchedulerTest, AProcessThatDiesIsInterruptedAndRetried) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 1, .backoff = minute};
    executor.fate = [](const auto&, const OneRun& run) { return SimExecutor::Fate{.silent = run.attempt == 1}; };
    begin({nightly});
    pass(day);
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::interrupted, 1}, {RunState::done, 1}}));
    EXPECT_EQ(ledger->runs({.state = RunState::interrupted}).at(0).error, "killed by signal 9");
}

TEST_F(SchedulerTest, WhatADeadDaemonLeftIsInterruptedAndRetriedByTheNext) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 1, .backoff = minute};
    executor.fate = [](const auto&, const OneRun& run) {
        return SimExecutor::Fate{.lasts = run.attempt == 1 ? day : minute};
    };
    begin({nightly});
    pass(2 * hour + minute);
    ASSERT_EQ(ledger->running().size(), 1U);
    executor.lose_all();
    begin({nightly});
    pass(hour);
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::interrupted, 1}, {RunState::done, 1}}));
}

TEST_F(SchedulerTest, ForbidSkipsAndSaysSo) {
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 90 * minute}; };
    begin({job("hourly", "0 * * * *")});
    pass(4 * hour + minute);
    EXPECT_EQ(states("hourly"),
              (std::map<RunState, int>{{RunState::done, 1}, {RunState::running, 1}, {RunState::skipped, 2}}));
    EXPECT_EQ(executor.most_at_a_time, 1);
}

TEST_F(SchedulerTest, AllowLetsThemOverlap) {
    policy::Job hourly = job("hourly", "0 * * * *");
    hourly.concurrency = policy::Concurrency::allow;
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 90 * minute}; };
    begin({hourly});
    pass(5 * hour);
    EXPECT_EQ(executor.most_at_a_time, 2);
    EXPECT_EQ(states("hourly")[RunState::skipped], 0);
}

TEST_F(SchedulerTest, ReplaceStopsTheOneBefore) {
    policy::Job hourly = job("hourly", "0 * * * *");
    hourly.concurrency = policy::Concurrency::replace;
    hourly.retries.count = 5;
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = day}; };
    begin({hourly});
    pass(3 * hour + minute);
    EXPECT_EQ(executor.most_at_a_time, 1);
    EXPECT_EQ(states("hourly"), (std::map<RunState, int>{{RunState::failed, 2}, {RunState::running, 1}}));
    EXPECT_EQ(ledger->runs({.state = RunState::failed}).at(0).error, "replaced by the next run of the job");
}

TEST_F(SchedulerTest, ATimeoutStopsEvenWhatDoesNotListen) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.timeout = 10 * minute;
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 9 * hour, .deaf = true}; };
    begin({nightly});
    pass(3 * hour);
    const auto run = ledger->last("nightly");
    ASSERT_TRUE(run);
    EXPECT_EQ(run->state, RunState::interrupted);
    EXPECT_EQ(run->error, "it took longer than its timeout of 10 min");
    EXPECT_EQ((run->ended - run->started) / one_second, 10 * 60 + 30);
}

TEST_F(SchedulerTest, CatchUpIsByPolicy) {
    policy::Job none = job("none", "0 * * * *"), once = job("once", "0 * * * *"), all = job("all", "0 * * * *");
    none.catch_up = policy::CatchUp::none;
    once.catch_up = policy::CatchUp::once;
    all.catch_up = policy::CatchUp::all;
    begin({none, once, all});
    pass(hour + 30 * minute);
    sim.clock.advance(5 * hour);  // no daemon
    begin({none, once, all});
    pass(20 * minute);
    EXPECT_EQ(states("none")[RunState::done], 1);
    EXPECT_EQ(states("once")[RunState::done], 2);
    EXPECT_EQ(states("all")[RunState::done], 6);
    EXPECT_EQ(rfc3339(ledger->last("once")->due), "2026-03-01T06:00:00Z");
}

TEST_F(SchedulerTest, AJobWaitsForThoseBeforeIt) {
    policy::Job second = job("second", "0 2 * * *");
    second.after = {"first"};
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 20 * minute}; };
    begin({second, job("first", "0 2 * * *")});
    pass(3 * hour);
    EXPECT_THAT(starts(), ElementsAre("first 2026-03-01T02:00:00Z", "second 2026-03-01T02:20:00Z"));
}

TEST_F(SchedulerTest, AJobWithoutScheduleRunsWhenAllBeforeItHaveSucceeded) {
    policy::Job proof = job("proof", "");
    proof.after = {"one", "two"};
    executor.fate = [](const policy::Job& job, const OneRun& run) {
        return SimExecutor::Fate{.state = job.name == "two" && run.due < SimClock::first_now + day ? RunState::failed
                                                                                                   : RunState::done};
    };
    begin({job("one", "0 2 * * *"), job("two", "0 3 * * *"), proof});
    pass(day);
    EXPECT_EQ(states("proof").size(), 0U);
    pass(day);
    EXPECT_EQ(states("proof")[RunState::done], 1);
}

TEST_F(SchedulerTest, AllowedHoursPostponeAndSurviveARestart) {
    policy::Job nightly = job("nightly", "0 12 * * *");
    nightly.allowed_hours = policy::parse_allowed_hours("22:00-06:00");
    begin({nightly});
    pass(13 * hour);
    EXPECT_TRUE(executor.starts.empty());
    EXPECT_EQ(ledger->waiting().size(), 1U);
    begin({nightly});
    pass(10 * hour);
    EXPECT_THAT(starts(), ElementsAre("nightly 2026-03-01T22:00:00Z"));
}

TEST_F(SchedulerTest, JitterStartsLaterAndAlwaysTheSame) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.jitter_max = 20 * minute;
    begin({nightly});
    pass(2 * day);
    ASSERT_EQ(executor.starts.size(), 2U);
    const Nanoseconds jitter = policy::jitter_of("nightly", 20 * minute);
    EXPECT_EQ(executor.starts[0].second, *parse_time("2026-03-01T02:00:00Z", 0) + jitter);
    EXPECT_EQ(executor.starts[1].second, *parse_time("2026-03-02T02:00:00Z", 0) + jitter);
}

TEST_F(SchedulerTest, TheClockJumpsBothWays) {
    begin({job("hourly", "0 * * * *")});
    pass(3 * hour + minute);
    sim.clock.set_now(sim.clock.now() - 2 * hour);  // 01:01 again
    pass(3 * hour);                                 // 04:01
    EXPECT_EQ(executor.starts.size(), 4U);          // 02:00 and 03:00 were run already
    sim.clock.set_now(sim.clock.now() + 30 * day);
    pass(minute);
    EXPECT_EQ(executor.starts.size(), 5U);
    sim.clock.set_now(sim.clock.now() - 30 * day);  // what ran in the wrong future keeps nothing from running
    pass(2 * hour);
    EXPECT_EQ(executor.starts.size(), 7U);
    begin({job("hourly", "0 * * * *")});
    pass(2 * hour);
    EXPECT_EQ(executor.starts.size(), 9U);
}

TEST_F(SchedulerTest, AReloadLosesNoRun) {
    policy::Job hourly = job("hourly", "0 * * * *");
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 30 * minute}; };
    begin({hourly, job("gone", "0 * * * *")});
    pass(hour + 10 * minute);
    scheduler->set_jobs({hourly, job("new", "15 * * * *")});
    pass(hour);
    EXPECT_EQ(states("hourly"), (std::map<RunState, int>{{RunState::done, 1}, {RunState::running, 1}}));
    EXPECT_EQ(states("gone"), (std::map<RunState, int>{{RunState::done, 1}}));
    EXPECT_EQ(states("new"), (std::map<RunState, int>{{RunState::done, 1}}));
}

TEST_F(SchedulerTest, AStopEndsWhatRunsAndStartsNothing) {
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = day}; };
    begin({job("hourly", "0 * * * *")});
    pass(hour + minute);
    scheduler->stop();
    pass(2 * hour);
    EXPECT_TRUE(scheduler->is_idle());
    EXPECT_EQ(executor.starts.size(), 1U);
    EXPECT_EQ(states("hourly"), (std::map<RunState, int>{{RunState::failed, 1}}));
}

TEST_F(SchedulerTest, TwoSchedulersOnOneLedgerNeverRunAJobTwice) {
    std::vector<policy::Job> jobs;
    for (int i = 0; i < 20; ++i) jobs.push_back(job("job" + std::to_string(i), fmt::format("{} * * * *", i)));
    begin(jobs);
    OtherHost other(sim, url());
    other.scheduler.set_jobs(jobs);
    for (int i = 0; i < 24 * 60; ++i) {
        (i % 2 == 0 ? *scheduler : other.scheduler).step();
        (i % 2 == 0 ? other.scheduler : *scheduler).step();
        sim.clock.advance(minute);
    }
    EXPECT_EQ(executor.starts.size() + other.executor.starts.size(),
              20U * 24U - 1);  // the first one was due when they began
    EXPECT_FALSE(executor.starts.empty());
    EXPECT_FALSE(other.executor.starts.empty());
}

TEST_F(SchedulerTest, ARunThatWaitsSurvivesAReload) {
    options.running_max = 1;
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 10 * minute}; };
    policy::Job after = job("after", "0 2 * * *"), follows = job("follows", "");
    after.after = {"first"};
    follows.after = {"first"};
    const std::vector jobs{job("first", "0 2 * * *"), job("second", "0 2 * * *"), after, follows};
    begin(jobs);
    pass(2 * hour + minute);
    scheduler->set_jobs(jobs);
    pass(12 * minute);
    scheduler->set_jobs(jobs);
    pass(minute);
    begin(jobs);  // nor does a restart lose it
    pass(hour);
    for (const policy::Job& each : jobs)
        EXPECT_EQ(states(each.name), (std::map<RunState, int>{{RunState::done, 1}})) << each.name;
}

TEST_F(SchedulerTest, OfSeveralThatWaitTheLatestRuns) {
    options.running_max = 1;
    executor.fate = [](const policy::Job& job, const auto&) {
        return SimExecutor::Fate{.lasts = job.name == "long" ? 3 * hour : minute};
    };
    begin({job("long", "0 1 * * *"), job("hourly", "30 1-4 * * *")});
    pass(6 * hour);
    EXPECT_EQ(states("hourly"), (std::map<RunState, int>{{RunState::skipped, 2}, {RunState::done, 2}}));
    EXPECT_EQ(rfc3339(ledger->last_done("hourly")->due), "2026-03-01T04:30:00Z");
}

TEST_F(SchedulerTest, TheMostCriticalStartsFirstWhenSlotsAreShort) {
    options.running_max = 1;
    executor.fate = [](const policy::Job& job, const auto&) {
        return SimExecutor::Fate{.lasts = job.name == "long" ? hour : minute};
    };
    using enum policy::Criticality;
    policy::Job cheap = job("cheap", "5 2 * * *"), usual = job("usual", "10 2 * * *"), dear = job("dear", "20 2 * * *"),
                dearest = job("dearest", "40 2 * * *"), dearest_too = job("dearest-too", "30 2 * * *");
    cheap.criticality = low;
    dear.criticality = high;
    dearest.criticality = dearest_too.criticality = critical;
    begin({job("long", "0 2 * * *"), cheap, usual, dear, dearest, dearest_too});
    pass(4 * hour);
    std::vector<std::string> names;
    for (const auto& [name, time] : executor.starts) names.push_back(name);
    EXPECT_THAT(names, ElementsAre("long", "dearest-too", "dearest", "dear", "usual", "cheap"));
}

TEST_F(SchedulerTest, AJobWaitsWhileTheMachineIsBusy) {
    double load = 5;
    options.load = [&] { return load; };
    policy::Job modest = job("modest", "0 2 * * *");
    modest.limits.load_max = 4;
    begin({modest, job("other", "0 2 * * *")});
    pass(3 * hour);
    EXPECT_THAT(starts(), ElementsAre("other 2026-03-01T02:00:00Z"));
    load = 4;
    pass(minute);
    ASSERT_EQ(executor.starts.size(), 2U);
    EXPECT_EQ(executor.starts[1].first, "modest");
}

TEST_F(SchedulerTest, AllowedHoursHoldAlsoForWhatHadToWait) {
    double load = 5;
    options.load = [&] { return load; };
    policy::Job nightly = job("nightly", "0 5 * * *");
    nightly.allowed_hours = policy::parse_allowed_hours("22:00-06:00");
    nightly.limits.load_max = 4;
    begin({nightly});
    pass(10 * hour);
    load = 1;
    pass(11 * hour);
    EXPECT_TRUE(executor.starts.empty());
    EXPECT_EQ(rfc3339(ledger->waiting().at(0).start_at), "2026-03-01T22:00:00Z");
    pass(2 * hour);
    EXPECT_THAT(starts(), ElementsAre("nightly 2026-03-01T22:00:00Z"));
}

TEST_F(SchedulerTest, WhatSomebodyAskedToStopIsNotTriedAgain) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 3, .backoff = minute};
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = day}; };
    begin({nightly});
    pass(2 * hour + minute);
    ledger->request_stop(ledger->running().at(0).id);
    pass(hour);
    begin({nightly});  // nor by a daemon that finds it ended
    pass(hour);
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::failed, 1}}));
}

TEST_F(SchedulerTest, WhatFailsByHandIsNotTriedAgain) {
    policy::Job nightly = job("nightly", "0 2 * * *");
    nightly.retries = {.count = 3, .backoff = minute};
    begin({nightly});
    OneRun by_hand;
    by_hand.id = "b1";
    by_hand.job = "nightly";
    by_hand.due = sim.clock.now();
    ledger->claim(by_hand, "somebody", hour, true);
    pass(minute);
    by_hand.state = RunState::failed;
    by_hand.ended = sim.clock.now();
    ledger->end(by_hand);
    pass(hour);
    EXPECT_EQ(states("nightly"), (std::map<RunState, int>{{RunState::failed, 1}}));
}

TEST_F(SchedulerTest, ARunThatOutlivesItsDaemonIsFollowedToItsEnd) {
    policy::Job good = job("good", "0 2 * * *"), bad = job("bad", "0 2 * * *"), proof = job("proof", "");
    bad.retries = {.count = 1, .backoff = minute};
    proof.after = {"good"};
    const std::vector jobs{good, bad, proof};
    for (const bool ends_while_nobody_is_there : {false, true}) {
        begin(jobs);
        executor.fate = [](const policy::Job& job, const OneRun& run) {
            const bool fails = job.name == "bad" && run.attempt == 1;
            return SimExecutor::Fate{.lasts = 10 * minute, .state = fails ? RunState::failed : RunState::done};
        };
        pass(2 * hour + minute);
        ASSERT_EQ(ledger->running().size(), 2U);
        scheduler.reset();
        OtherHost next(sim, url());
        if (!ends_while_nobody_is_there) next.scheduler.set_jobs(jobs);
        for (int i = 0; i < 15; ++i) {
            executor.ended();  // the runs go on by themselves
            if (!ends_while_nobody_is_there) next.scheduler.step();
            sim.clock.advance(minute);
        }
        if (ends_while_nobody_is_there) next.scheduler.set_jobs(jobs);
        for (int i = 0; i < 100; ++i, sim.clock.advance(10 * one_second)) next.scheduler.step();
        std::vector<std::string> started;
        for (const auto& [name, time] : next.executor.starts) started.push_back(name);
        EXPECT_THAT(started, ::testing::UnorderedElementsAre("bad", "proof")) << ends_while_nobody_is_there;
        EXPECT_TRUE(ledger->running().empty());
        sim.clock.set_now(*parse_time("2026-03-02T00:00:00Z", 0));
    }
}

TEST_F(SchedulerTest, OrderHoldsAcrossHosts) {
    policy::Job second = job("second", "0 2 * * *"), proof = job("proof", "");
    second.after = {"first"};
    proof.after = {"first", "there"};
    const auto slow = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = 20 * minute}; };
    executor.fate = slow;
    begin({job("first", "0 2 * * *"), proof});
    OtherHost other(sim, url());
    other.scheduler.set_jobs({second, job("there", "0 2 * * *")});
    pass_with(other, 3 * hour);
    ASSERT_EQ(other.executor.starts.size(), 2U);
    EXPECT_EQ(other.executor.starts[1].first, "second");
    EXPECT_EQ(rfc3339(other.executor.starts[1].second), "2026-03-01T02:20:00Z");
    EXPECT_EQ(states("proof"), (std::map<RunState, int>{{RunState::done, 1}}));
}

TEST_F(SchedulerTest, SuccessesAreRememberedOverARestart) {
    policy::Job proof = job("proof", "");
    proof.after = {"one", "two"};
    const std::vector jobs{job("one", "0 2 * * *"), job("two", "0 4 * * *"), proof};
    begin(jobs);
    pass(3 * hour);
    begin(jobs);
    pass(hour);
    EXPECT_TRUE(states("proof").empty());
    pass(hour);
    EXPECT_EQ(states("proof"), (std::map<RunState, int>{{RunState::done, 1}}));
    begin(jobs);
    pass(23 * hour);
    EXPECT_EQ(states("proof")[RunState::done], 1);  // `two` has not run again
    pass(hour);
    EXPECT_EQ(states("proof")[RunState::done], 2);
}

TEST_F(SchedulerTest, ReplaceStopsAlsoWhatRunsElsewhere) {
    policy::Job hourly = job("hourly", "0 * * * *");
    hourly.concurrency = policy::Concurrency::replace;
    hourly.retries.count = 5;
    executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.lasts = day}; };
    begin({hourly});
    pass(hour + minute);
    ASSERT_EQ(executor.starts.size(), 1U);
    OtherHost other(sim, url());
    other.scheduler.set_jobs({hourly});
    for (int i = 0; i < 60; ++i, sim.clock.advance(minute)) {
        other.scheduler.step();
        executor.ended();
    }
    other.scheduler.step();
    EXPECT_EQ(other.executor.starts.size(), 1U);
    EXPECT_EQ(states("hourly"), (std::map<RunState, int>{{RunState::failed, 1}, {RunState::running, 1}}));
}

TEST_F(SchedulerTest, WhatWaitsOfJobsOfAnotherHostIsLeftToIt) {
    policy::Job theirs = job("theirs", "0 2 * * *");
    theirs.retries = {.count = 1, .backoff = 30 * minute};
    begin({job("ours", "0 * * * *")});
    OtherHost other(sim, url());
    other.executor.fate = [](const auto&, const auto&) { return SimExecutor::Fate{.state = RunState::failed}; };
    other.scheduler.set_jobs({theirs});
    pass_with(other, 2 * hour + 10 * minute);
    ASSERT_EQ(ledger->waiting().size(), 1U);
    scheduler->set_jobs({job("ours", "5 * * * *")});
    begin({job("ours", "5 * * * *")});
    pass_with(other, hour);
    EXPECT_EQ(states("theirs"), (std::map<RunState, int>{{RunState::failed, 2}}));
}

// A ledger whose calls fail now and then, half of them after they were done.
class FlakyDatabase final : public ledger::Database {
public:
    FlakyDatabase(const std::string& path, SimRandom& random) : inner_(ledger::open_sqlite(path)), random_(random) {}
    double chance = 0;
    int failures = 0;

    ledger::Rows run(std::string_view sql, std::span<const ledger::Value> parameters) override {
        const bool fails = sql != "ROLLBACK" && random_.chance(chance);
        if (fails) ++failures;
        if (fails && (sql == "BEGIN" || random_.chance(0.5))) throw Error{Code::unreachable, "the ledger is away"};
        ledger::Rows out = inner_->run(sql, parameters);
        if (fails) throw Error{Code::unreachable, "the ledger's answer was lost"};
        return out;
    }
    std::string name() const override { return inner_->name(); }
    void lock(std::string_view key) override { inner_->lock(key); }

private:
    std::unique_ptr<ledger::Database> inner_;
    SimRandom& random_;
};

TEST_F(SchedulerTest, ALedgerThatFailsNowAndThenLosesNothingAndRepeatsNothing) {
    policy::Job flaky = job("flaky", "0 2 * * *"), late = job("late", "0 2 * * *"), after = job("after", "0 2 * * *"),
                proof = job("proof", ""), endless = job("endless", "0 2 * * *"), often = job("often", "*/20 * * * *");
    flaky.retries = {.count = 2, .backoff = 5 * minute};
    late.jitter_max = 10 * minute;
    after.after = {"flaky"};
    proof.after = {"flaky", "late"};
    endless.timeout = 10 * minute;
    often.concurrency = policy::Concurrency::replace;
    executor.fate = [](const policy::Job& job, const OneRun& run) {
        SimExecutor::Fate out;
        if (job.name == "flaky")
            out = {.state = run.attempt == 3 ? RunState::done : RunState::failed, .silent = run.attempt == 1};
        if (job.name == "endless") out = {.lasts = day, .deaf = true};
        if (job.name == "often") out = {.lasts = 30 * minute};
        return out;
    };
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        const std::string path = fmt::format("{}/flaky{}.db", folder.path(), seed);
        SimRandom random(seed);
        auto database = std::make_unique<FlakyDatabase>(path, random);
        FlakyDatabase& failing = *database;
        const auto its_ledger = ledger::Ledger::open(std::move(database), sim.world());
        ledger = ledger::Ledger::open(ledger::Place{path}, sim.world());  // that of runs and of this test
        SimExecutor its(sim, *ledger);
        its.fate = executor.fate;
        sim.clock.set_now(*parse_time("2026-03-01T01:59:00Z", 0));
        Scheduler its_scheduler(sim.world(), *its_ledger, its, options);
        its_scheduler.set_jobs({flaky, late, after, proof, endless, often});
        failing.chance = 0.1;
        for (int second = 0; second < 2 * 3600; second += 5, sim.clock.advance(5 * one_second)) {
            if (second == 3600 + 1800) failing.chance = 0;
            try {
                its_scheduler.step();
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Code::unreachable);
            }
        }
        EXPECT_GT(failing.failures, 10);
        using States = std::map<RunState, int>;
        EXPECT_EQ(states("flaky"), (States{{RunState::interrupted, 1}, {RunState::failed, 1}, {RunState::done, 1}}));
        EXPECT_EQ(states("late"), (States{{RunState::done, 1}}));
        EXPECT_EQ(states("after"), (States{{RunState::done, 1}}));
        EXPECT_EQ(states("proof"), (States{{RunState::done, 1}}));
        EXPECT_EQ(states("endless"), (States{{RunState::interrupted, 1}}));
        EXPECT_EQ(states("often"), (States{{RunState::failed, 5}, {RunState::running, 1}}));
        EXPECT_EQ(its_scheduler.running(), 1U);
        EXPECT_EQ(its.starts.size(), 3U + 1 + 1 + 1 + 1 + 6);
    }
}

TEST_F(SchedulerTest, AYearHasTheRunsThatItsCalendarHas) {
    // Berlin's clocks leave out 02:30 on 29 March 2026 and have it twice on 25 October.
    begin({job("hourly", "5 * * * *"), job("nightly", "30 2 * * *", "Europe/Berlin"), job("weekly", "0 6 * * 0"),
           job("first-monday", "0 3 * * 1#1", "Europe/Berlin"), job("leap-day", "0 0 29 2 *"),
           job("yearly", "@yearly")});
    // All are due at multiples of five minutes.
    for (Nanoseconds end = sim.clock.now() + 365 * day; sim.clock.now() < end; sim.clock.advance(5 * minute))
        scheduler->step();
    std::map<std::string, int> runs;
    for (const auto& [name, time] : executor.starts) ++runs[name];
    EXPECT_EQ(runs, (std::map<std::string, int>{
                        {"hourly", 365 * 24}, {"nightly", 365}, {"weekly", 53}, {"first-monday", 12}, {"yearly", 1}}));
    const std::set<std::pair<std::string, Nanoseconds>> different(executor.starts.begin(), executor.starts.end());
    EXPECT_EQ(different.size(), executor.starts.size());
    EXPECT_LE(*std::ranges::max_element(executor.lateness), one_second);
}

TEST_F(SchedulerTest, TenThousandJobsStartOnTimeAndOnce) {
    constexpr int count = 10'000;
    std::vector<policy::Job> jobs;
    for (int i = 0; i < count; ++i)
        jobs.push_back(job("job" + std::to_string(i), fmt::format("{} {} * * *", i % 60, i / 60 % 24)));
    begin(std::move(jobs));
    pass(2 * day);
    EXPECT_EQ(executor.starts.size(), 2U * count);
    EXPECT_LE(*std::ranges::max_element(executor.lateness), one_second);
    const std::set<std::pair<std::string, Nanoseconds>> different(executor.starts.begin(), executor.starts.end());
    EXPECT_EQ(different.size(), executor.starts.size());
}

}  // namespace
}  // namespace holdfast::service
