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
            if (each.ends > sim_.clock.steady()) {
                ledger_.renew(each.run.id, minute, {});
                return false;
            }
            OneRun run = each.run;
            run.state = each.fate.state;
            run.ended = sim_.clock.now();
            if (run.state == RunState::failed) run.code = "source_failed";
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
        options.running_max = 100'000;
        scheduler = std::make_unique<Scheduler>(sim.world(), *ledger, executor, options);
        scheduler->set_jobs(std::move(jobs));
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
    std::unique_ptr<ledger::Ledger> ledger =
        ledger::Ledger::open(ledger::Place{folder.path() + "/ledger.db"}, sim.world());
    SimExecutor executor{sim, *ledger};
    SchedulerOptions options{.host = "here", .holder = "sim"};
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
    const auto other_ledger = ledger::Ledger::open(ledger::Place{folder.path() + "/ledger.db"}, sim.world());
    SimExecutor other_executor(sim, *other_ledger);
    Scheduler other(sim.world(), *other_ledger, other_executor, options);
    other.set_jobs(jobs);
    for (int i = 0; i < 24 * 60; ++i) {
        (i % 2 == 0 ? *scheduler : other).step();
        (i % 2 == 0 ? other : *scheduler).step();
        sim.clock.advance(minute);
    }
    EXPECT_EQ(executor.starts.size() + other_executor.starts.size(),
              20U * 24U - 1);  // the first one was due when they began
    EXPECT_FALSE(executor.starts.empty());
    EXPECT_FALSE(other_executor.starts.empty());
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
