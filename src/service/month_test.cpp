// A month of the schedules of five users' plans: real scheduler, policy and ledger; only the work is simulated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/text.h"
#include "policy/retention.h"
#include "service/scheduler.h"
#include "testing/sim_world.h"

namespace holdfast::service {
namespace {

using ledger::RunState;
using OneRun = ledger::Run;  // gtest has a Run of its own

constexpr Nanoseconds minute = 60 * one_second;
constexpr Nanoseconds hour = 60 * minute;
constexpr Nanoseconds day = 24 * hour;
constexpr int days = 31;  // March 2026, which begins on a Sunday
constexpr int retries = 2;
constexpr Nanoseconds backoff = 5 * minute;
const Nanoseconds begin = *parse_time("2026-03-01T00:00:00Z", 0);

// What the plan says, and by hand the days and minutes at which it means that.
struct PlannedJob {
    const char* name;
    const char* schedule;
    Nanoseconds keep;  // 0: it makes no points
    std::function<bool(int day_of_month)> on;
    std::vector<int> minutes;  // of the day
};

std::vector<int> every(int step, int first = 0) {
    std::vector<int> out;
    for (int each = first; each < 24 * 60; each += step) out.push_back(each);
    return out;
}
bool daily(int) { return true; }
bool sundays(int date) { return date % 7 == 1; }
bool mondays(int date) { return date % 7 == 2; }

std::vector<PlannedJob> the_plans() {
    return {{"000-mongodb", "0 2 * * *", 30 * day, daily, {120}},
            {"000-staging", "0 5 1 * *", 0, [](int date) { return date == 1; }, {300}},
            {"001-mongodb", "0 2 * * *", 30 * day, daily, {120}},
            {"001-verification", "0 6 * * *", 0, daily, {360}},
            {"002-mongodb-full", "0 1 * * *", 30 * day, daily, {60}},
            {"002-mongodb-hourly", "@hourly", 7 * day, daily, every(60)},
            {"002-redis", "15 * * * *", 7 * day, daily, every(60, 15)},
            {"002-uploads", "30 3 * * *", 30 * day, daily, {210}},
            {"002-manifests", "0 3 * * *", 90 * day, daily, {180}},
            {"003-postgres", "0 2 * * *", 30 * day, daily, {120}},
            {"003-redis", "0 */6 * * *", 7 * day, daily, every(360)},
            {"003-random-restore", "0 6 * * 0", 0, sundays, {360}},
            {"004-postgres", "0 2 * * *", 30 * day, daily, {120}},
            {"004-mongodb", "30 2 * * *", 30 * day, daily, {150}},
            {"004-redis", "0 */6 * * *", 7 * day, daily, every(360)},
            {"004-kubernetes", "0 3 * * *", 30 * day, daily, {180}},
            {"004-cluster", "0 4 * * *", 90 * day, daily, {240}},
            {"004-validation", "0 7 * * mon", 0, mondays, {420}},
            {"004-drill", "0 8 * * 1#1", 0, [](int date) { return date == 2; }, {480}}};
}

// Every 7th due time fails once, every 11th loses its process once, every 13th fails whatever is tried.
enum class Fate { good, fails_once, dies_once, fails };
Fate fate_of(std::size_t number) {
    if (number % 13 == 12) return Fate::fails;
    if (number % 11 == 10) return Fate::dies_once;
    return number % 7 == 6 ? Fate::fails_once : Fate::good;
}

class Engine final : public Executor {
public:
    Engine(SimWorld& sim, ledger::Ledger& ledger) : sim_(sim), ledger_(ledger) {}
    std::map<std::string, std::map<Nanoseconds, std::size_t>> numbers;  // of each due time of each job
    std::map<std::string, std::vector<policy::Candidate>> points;

    void start(const policy::Job&, const OneRun& run) override { going_.emplace_back(run, sim_.clock.now() + minute); }
    void stop(const std::string&, Urgency) override {}
    std::vector<Ended> ended() override {
        std::vector<Ended> out;
        std::erase_if(going_, [&](auto& each) {
            auto& [run, end] = each;
            if (end > sim_.clock.now()) return false;
            const Fate fate = fate_of(numbers.at(run.job).at(run.due));
            const bool good = fate == Fate::good || (fate != Fate::fails && run.attempt > 1);
            run.state = good ? RunState::done : RunState::failed;
            run.ended = sim_.clock.now();
            if (good || fate != Fate::dies_once) ledger_.end(run);
            if (good) points[run.job].push_back({.group = run.job, .received = run.ended});
            out.push_back({run.id, "killed by signal 9"});
            return true;
        });
        return out;
    }

private:
    SimWorld& sim_;
    ledger::Ledger& ledger_;
    std::vector<std::pair<OneRun, Nanoseconds>> going_;
};

// What is to be found at the month's end, counted by hand.
struct Expected {
    std::map<RunState, int> states;
    std::vector<Nanoseconds> received;  // of points that are kept
};

Expected expected_of(const PlannedJob& job, const std::map<Nanoseconds, std::size_t>& numbers) {
    Expected out;
    Nanoseconds newest = 0;
    for (const auto& [due, number] : numbers) {
        const Fate fate = fate_of(number);
        if (fate == Fate::fails) {
            out.states[RunState::failed] += 1 + retries;
            continue;
        }
        ++out.states[RunState::done];
        if (fate == Fate::fails_once) ++out.states[RunState::failed];
        if (fate == Fate::dies_once) ++out.states[RunState::interrupted];
        newest = due + minute + (fate == Fate::good ? 0 : backoff + minute);
        if (job.keep > 0) out.received.push_back(newest);
    }
    std::erase_if(out.received, [&](Nanoseconds each) { return each < newest - job.keep; });
    return out;
}

TEST(Month, EndsWithExactlyTheExpectedRunsRetriesAndPoints) {
    SimWorld sim{3};
    sim.clock.set_now(begin - minute);
    const TemporaryFolder folder;
    const auto ledger = ledger::Ledger::open(ledger::Place{folder.path() + "/ledger.db"}, sim.world());
    Engine engine(sim, *ledger);
    std::vector<policy::Job> jobs;
    for (const PlannedJob& planned : the_plans()) {
        policy::Job job;
        job.name = planned.name;
        job.schedule = policy::Schedule::parse(planned.schedule);
        job.retries = {.count = retries, .backoff = backoff};
        jobs.push_back(std::move(job));
        std::size_t number = 0;
        for (int date = 1; date <= days; ++date)
            if (planned.on(date))
                for (const int each : planned.minutes)
                    engine.numbers[planned.name].emplace(begin + (date - 1) * day + each * minute, number++);
    }
    const auto make = [&] {
        auto out = std::make_unique<Scheduler>(sim.world(), *ledger, engine,
                                               SchedulerOptions{.host = "here", .holder = "sim", .running_max = 100});
        out->set_jobs(jobs);
        return out;
    };
    auto scheduler = make();
    // The retries of the last hour end before midnight. The daemon is restarted every five days, at a quarter to one.
    for (int i = 0; i <= days * 24 * 60; ++i) {
        if (i % (5 * 24 * 60) == 45) scheduler = make();
        scheduler->step();
        sim.clock.advance(minute);
    }

    for (const PlannedJob& planned : the_plans()) {
        const Expected expected = expected_of(planned, engine.numbers[planned.name]);
        std::map<RunState, int> states;
        for (const OneRun& run : ledger->runs({.job = planned.name, .count_max = 100'000})) ++states[run.state];
        EXPECT_EQ(states, expected.states) << planned.name;
        if (planned.keep == 0) continue;
        const std::vector<policy::Candidate>& points = engine.points[planned.name];
        const auto reasons = policy::keep_reasons(points, {.within = planned.keep});
        std::vector<Nanoseconds> kept;
        for (std::size_t i = 0; i < points.size(); ++i)
            if (!reasons[i].empty()) kept.push_back(points[i].received);
        std::ranges::sort(kept);
        EXPECT_EQ(kept, expected.received) << planned.name;
    }
}

}  // namespace
}  // namespace holdfast::service
