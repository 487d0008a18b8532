// A month of five users' plans, as examples/ has them: real configuration, scheduler, policy and ledger; only the work is simulated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "app/config.h"
#include "app/registry.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/keep_policies.h"
#include "policy/pick.h"
#include "service/scheduler.h"
#include "testing/sim_world.h"

namespace holdfast::app {
namespace {

using ledger::RunState;
using policy::Candidate;
using OneRun = ledger::Run;  // gtest has a Run of its own

constexpr Nanoseconds minute = 60 * one_second;
constexpr Nanoseconds day = 24 * 60 * minute;
constexpr int days = 31;  // March 2026, which begins on a Sunday
const Nanoseconds begin = *parse_time("2026-03-01T00:00:00Z", 0);

std::vector<int> every(int step, int first = 0) {
    std::vector<int> out;
    for (int each = first; each < 24 * 60; each += step) out.push_back(each);
    return out;
}
bool daily(int) { return true; }
bool sundays(int date) { return date % 7 == 1; }
bool mondays(int date) { return date % 7 == 2; }
bool saturdays(int date) { return date % 7 == 0; }
bool the_first(int date) { return date == 1; }

// By hand, the days and minutes that the plans mean. What follows another job is due when that has succeeded.
struct Meant {
    bool (*on)(int date) = nullptr;
    std::vector<int> minutes = {};  // of the day
    std::string follows = {};
};

std::map<std::string, Meant> what_the_plans_mean() {
    return {{"000/mongodb-backup", {daily, {120}}},
            {"000/redis-backup", {daily, {150}}},
            {"000/monthly-restore", {the_first, {360}}},
            {"000/weekly-proof", {sundays, {360}}},
            {"000/expire", {daily, {300}}},
            {"000/collect", {.follows = "000/expire"}},
            {"000/scrub", {sundays, {240}}},
            {"001/mongodb-backup", {daily, {120}}},
            {"001/configuration-backup", {daily, {135}}},
            {"001/daily-verification", {daily, {240}}},
            {"001/expire", {daily, {300}}},
            {"001/collect", {.follows = "001/expire"}},
            {"002/mongodb-backup", {daily, {60}}},
            {"002/mongodb-hourly", {daily, every(60, 30)}},
            {"002/redis-backup", {daily, every(60)}},
            {"002/files-backup", {daily, {120}}},
            {"002/config-backup", {daily, {180}}},
            {"002/dumps", {.follows = "002/mongodb-backup"}},
            {"002/proof", {mondays, {360}}},
            {"002/expire", {daily, {300}}},
            {"002/collect", {.follows = "002/expire"}},
            {"003/postgres-backup", {daily, {120}}},
            {"003/sql-backup", {daily, {150}}},
            {"003/mongodb-backup", {daily, {180}}},
            {"003/redis-backup", {daily, every(360)}},
            {"003/config-backup", {daily, {240}}},
            {"003/weekly-restore", {sundays, {360}}},
            {"003/expire", {daily, {300}}},
            {"003/collect", {.follows = "003/expire"}},
            {"004/postgres-backup", {daily, {120}}},
            {"004/postgres-dumps", {.follows = "004/postgres-backup"}},
            {"004/mongodb-backup", {daily, {150}}},
            {"004/redis-backup", {daily, every(360)}},
            {"004/config-backup", {daily, {180}}},
            {"004/backup-validation", {sundays, {360}}},
            {"004/expire", {daily, {300}}},
            {"004/collect", {.follows = "004/expire"}},
            {"004/scrub", {saturdays, {420}}}};
}

// Every 7th due time fails once, every 11th loses its process once, every 13th fails whatever is tried.
enum class Fate { good, fails_once, dies_once, fails };
Fate fate_of(std::size_t number) {
    if (number % 13 == 12) return Fate::fails;
    if (number % 11 == 10) return Fate::dies_once;
    return number % 7 == 6 ? Fate::fails_once : Fate::good;
}
// So that the last two proofs of a weekly job fail, and what an earlier one proved is all that is known to be good.
constexpr std::size_t first_of_few = 9;

struct Plan {
    Config config;
    std::vector<Candidate> points;   // as retention has left them
    std::vector<Candidate> history;  // all that were ever made, by the same order
};

class Engine final : public service::Executor {
public:
    Engine(SimWorld& sim, ledger::Ledger& ledger) : sim_(sim), ledger_(ledger) {}
    std::map<std::string, Plan> plans;
    std::map<std::string, std::map<Nanoseconds, std::size_t>> numbers;  // of each due time of each job
    Nanoseconds last_expired = 0;
    std::size_t older_proven = 0;

    void start(const policy::Job& job, const OneRun& run) override {
        going_.push_back({job, run, sim_.clock.now() + minute});
    }
    void stop(const std::string&, Urgency) override {}
    std::vector<Ended> ended() override {
        std::vector<Ended> out;
        std::erase_if(going_, [&](auto& each) {
            if (each.end > sim_.clock.now()) return false;
            OneRun& run = each.run;
            const auto of_job = numbers.find(run.job);
            const Fate fate = of_job == numbers.end() ? Fate::good : fate_of(of_job->second.at(run.due));
            const bool good = fate == Fate::good || (fate != Fate::fails && run.attempt > 1);
            run.state = good ? RunState::done : RunState::failed;
            run.ended = sim_.clock.now();
            if (good || fate != Fate::dies_once) ledger_.end(run);
            if (good) work(each.job);
            out.push_back({run.id, "killed by signal 9"});
            return true;
        });
        return out;
    }

    // By hand, before a deployment.
    void back_up(const std::string& plan, const std::string& source, std::map<std::string, std::string> tags) {
        const Candidate point{.group = source, .received = sim_.clock.now(), .tags = std::move(tags), .source = source};
        plans.at(plan).points.push_back(point);
        plans.at(plan).history.push_back(point);
    }

private:
    struct Going {
        policy::Job job;
        OneRun run;
        Nanoseconds end = 0;
    };

    void work(const policy::Job& job) {
        const std::string plan = job.name.substr(0, 3);
        if (std::holds_alternative<policy::BackupTask>(job.task))
            for (const std::string& source : job.sources)
                back_up(plan, source, {{std::string(policy::job_tag), job.name.substr(4)}});
        if (std::holds_alternative<policy::ForgetTask>(job.task)) expire(plans.at(plan));
        const auto* const proof = std::get_if<policy::ProveTask>(&job.task);
        if (proof != nullptr && proof->to.empty()) prove(plans.at(plan), proof->pick);
    }

    void expire(Plan& plan) {
        last_expired = sim_.clock.now();
        std::map<std::string, policy::Retention> named;
        for (const RetentionConfig& each : plan.config.retention) named.emplace(each.name, each.rules);
        const auto decisions = policy::KeepPolicies(plan.config.jobs, named).decide(plan.points);
        std::vector<Candidate> kept;
        for (std::size_t i = 0; i < decisions.size(); ++i)
            if (decisions[i].keep) kept.push_back(plan.points[i]);
        plan.points = std::move(kept);
    }

    // One point of each source: the newest, or one by chance among all that are kept.
    void prove(Plan& plan, policy::ProveTask::Pick pick) {
        std::map<std::string, std::vector<Candidate*>> points;
        for (Candidate& each : plan.points) points[each.source].push_back(&each);
        for (const auto& [source, all] : points) {
            std::vector<Nanoseconds> ages;
            for (const Candidate* each : all) ages.push_back(sim_.clock.now() - each->received);
            const bool by_chance = pick == policy::ProveTask::Pick::random;
            Candidate& proven = by_chance ? *all[policy::pick_by_age(ages, sim_.random)] : *all.back();
            older_proven += &proven == all.back() ? 0U : 1U;
            proven.good = true;
            const auto made = std::ranges::find_if(plan.history, [&](const Candidate& each) {
                return each.source == source && each.received == proven.received && each.tags == proven.tags;
            });
            ASSERT_NE(made, plan.history.end());
            made->good = true;
        }
    }

    SimWorld& sim_;
    ledger::Ledger& ledger_;
    std::vector<Going> going_;
};

// Runs of one job at the month's end, counted by hand.
std::map<RunState, int> expected_states(const std::map<Nanoseconds, std::size_t>& numbers, int retries) {
    std::map<RunState, int> out;
    for (const auto& [due, number] : numbers) {
        const Fate fate = fate_of(number);
        if (fate == Fate::fails) {
            out[RunState::failed] += 1 + retries;
            continue;
        }
        if (fate == Fate::fails_once) ++out[RunState::failed];
        if (fate == Fate::dies_once) ++out[RunState::interrupted];
        if (fate == Fate::good || retries > 0) ++out[RunState::done];
    }
    return out;
}

// The rules, written down a second time: of what one job made of one source, oldest first, that which stays.
std::set<Nanoseconds> expected_points(const std::vector<Candidate>& all, const policy::Retention& rules) {
    std::set<Nanoseconds> out;
    if (all.empty()) return out;
    const auto newest_of_each = [&](std::uint32_t count, auto period_of) {
        std::map<Nanoseconds, Nanoseconds> newest;
        for (const Candidate& each : all) newest[period_of(each.received)] = each.received;
        for (auto at = newest.rbegin(); at != newest.rend() && count > 0; ++at, --count) out.insert(at->second);
    };
    newest_of_each(rules.last, [](Nanoseconds time) { return time; });
    newest_of_each(rules.daily, [](Nanoseconds time) { return time / day; });
    newest_of_each(rules.weekly, [](Nanoseconds time) { return (time / day + 3) / 7; });  // 1970 began on a Thursday
    newest_of_each(std::max(rules.monthly, rules.yearly), [](Nanoseconds) { return 0; });
    Nanoseconds last_good = 0;
    for (const Candidate& each : all) {
        if (rules.within && each.received >= all.back().received - *rules.within) out.insert(each.received);
        if (each.good) last_good = each.received;
        for (const auto& [key, value] : each.tags)
            if (std::ranges::find(rules.tags, key + "=" + value) != rules.tags.end()) out.insert(each.received);
    }
    if (last_good != 0) out.insert(last_good);
    return out;
}

class Month : public testing::Test {
protected:
    Month() {
        setenv("TZ", "UTC", 1);
        sim.clock.set_now(begin - minute);
        for (const char* name : {"000", "001", "002", "003", "004"}) {
            Plan& plan = engine.plans[name];
            plan.config =
                load_config(fmt::format("{}/examples/{}/holdfast.yaml", HF_SOURCE_FOLDER, name), source_types());
            for (policy::Job job : plan.config.jobs) {
                job.name = fmt::format("{}/{}", name, job.name);
                for (std::string& each : job.after) each = fmt::format("{}/{}", name, each);
                jobs.push_back(std::move(job));
            }
        }
        for (const auto& [name, each] : meant) {
            if (!each.follows.empty()) continue;
            std::size_t number = each.on == sundays || each.on == mondays ? first_of_few : 0;
            for (int date = 1; date <= days; ++date)
                if (each.on(date))
                    for (const int at : each.minutes)
                        engine.numbers[name].emplace(begin + (date - 1) * day + at * minute, number++);
        }
    }
    ~Month() override { unsetenv("TZ"); }

    // The daemon is restarted every five days, at a quarter to one.
    void pass() {
        std::unique_ptr<service::Scheduler> scheduler;
        for (int i = 0; i <= days * 24 * 60; ++i) {
            if (i % (5 * 24 * 60) == 45 || i == 0) {
                scheduler = std::make_unique<service::Scheduler>(
                    sim.world(), *ledger, engine,
                    service::SchedulerOptions{.host = "here", .holder = "sim", .running_max = 100});
                scheduler->set_jobs(jobs);
            }
            if (i == 10 * 24 * 60)
                engine.back_up("003", "eazepay-postgres", {{"job", "postgres-backup"}, {"why", "pre_deployment"}});
            scheduler->step();
            sim.clock.advance(minute);
        }
    }

    std::map<RunState, int> states_of(const std::string& job) const {
        std::map<RunState, int> out;
        for (const OneRun& run : ledger->runs({.job = job, .count_max = 100'000})) ++out[run.state];
        return out;
    }

    SimWorld sim{3};
    const TemporaryFolder folder;
    const std::unique_ptr<ledger::Ledger> ledger =
        ledger::Ledger::open(ledger::Place{folder.path() + "/ledger.db"}, sim.world());
    Engine engine{sim, *ledger};
    const std::map<std::string, Meant> meant = what_the_plans_mean();
    std::vector<policy::Job> jobs;
};

TEST_F(Month, ends_with_exactly_the_expected_runs_retries_and_points) {
    std::vector<std::string> configured, known;
    for (const policy::Job& job : jobs) configured.push_back(job.name);
    for (const auto& [name, each] : meant) known.push_back(name);
    ASSERT_THAT(configured, testing::UnorderedElementsAreArray(known));
    pass();

    for (const policy::Job& job : jobs) {
        const Meant& each = meant.at(job.name);
        if (each.follows.empty())
            EXPECT_EQ(states_of(job.name),
                      expected_states(engine.numbers[job.name], static_cast<int>(job.retries.count)))
                << job.name;
        else
            EXPECT_EQ(states_of(job.name),
                      (std::map<RunState, int>{{RunState::done, states_of(each.follows)[RunState::done]}}))
                << job.name;
    }

    std::size_t only_good = 0, only_tagged = 0;
    for (const auto& [name, plan] : engine.plans)
        for (const policy::Job& job : plan.config.jobs)
            for (const std::string& source : job.retention ? job.sources : std::vector<std::string>{}) {
                const auto is_its = [&](const Candidate& each) {
                    return each.source == source && each.tags.at("job") == job.name;
                };
                std::vector<Candidate> made;
                std::set<Nanoseconds> kept, expected;
                for (const Candidate& each : plan.history) {
                    if (!is_its(each)) continue;
                    if (each.received <= engine.last_expired)
                        made.push_back(each);
                    else
                        expected.insert(each.received);
                }
                for (const Candidate& each : plan.points)
                    if (is_its(each)) kept.insert(each.received);
                expected.merge(expected_points(made, job.retention->rules));
                EXPECT_EQ(kept, expected) << name << "/" << job.name << " of " << source;
                for (const Candidate& each : made) {
                    if (each.good && job.retention->rules.within && kept.contains(each.received) &&
                        each.received < made.back().received - *job.retention->rules.within)
                        ++only_good;
                    only_tagged += each.tags.contains("why") && kept.contains(each.received) ? 1U : 0U;
                }
            }
    EXPECT_GT(only_good, 0U);
    EXPECT_EQ(only_tagged, 1U);
    EXPECT_GT(engine.older_proven, 0U);
}

}  // namespace
}  // namespace holdfast::app
