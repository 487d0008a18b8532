#include "ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "testing/postgres_server.h"
#include "testing/sim_world.h"

namespace holdfast::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using OneRun = Run;  // gtest has a Run of its own

constexpr Nanoseconds minute = 60 * one_second;

// A place where a ledger can be opened several times.
class LedgerMaker {
public:
    virtual ~LedgerMaker() = default;
    virtual std::string url() = 0;
};

class SqliteMaker final : public LedgerMaker {
public:
    std::string url() override { return "sqlite:" + folder_.path() + "/ledger.db"; }

private:
    TemporaryFolder folder_;
};

class PostgresMaker final : public LedgerMaker {
public:
    PostgresMaker() {
        static int number = 0;
        name_ = "ledger" + std::to_string(++number);
        server().sql("CREATE DATABASE " + name_);
    }
    ~PostgresMaker() override { server().sql("DROP DATABASE " + name_ + " WITH (FORCE)"); }
    std::string url() override { return server().url(name_); }

private:
    static testing::PostgresServer& server() {
        static testing::PostgresServer one;
        return one;
    }
    std::string name_;
};

using MakeMaker = std::unique_ptr<LedgerMaker> (*)();

class LedgerTest : public ::testing::TestWithParam<MakeMaker> {
protected:
    std::unique_ptr<Ledger> open() { return Ledger::open(Place{maker->url()}, sim.world()); }
    OneRun run(const std::string& job, Nanoseconds due, int attempt = 1) {
        OneRun out;
        out.id = new_run_id(sim.random);
        out.job = job;
        out.verb = "backup";
        out.due = out.start_at = due;
        out.attempt = attempt;
        return out;
    }
    SimWorld sim{7};
    std::unique_ptr<LedgerMaker> maker = GetParam()();
    std::unique_ptr<Ledger> ledger = open();
};

TEST_P(LedgerTest, ARunIsClaimedOnceByWhoeverAsks) {
    const auto other = open();
    const OneRun mine = run("nightly", 100), yours = run("nightly", 100);
    EXPECT_EQ(ledger->claim(mine, "a", minute, true), Claim::claimed);
    EXPECT_EQ(other->claim(yours, "b", minute, true), Claim::taken);
    EXPECT_EQ(other->claim(run("nightly", 200), "b", minute, true), Claim::busy);
    EXPECT_EQ(other->claim(run("nightly", 200), "b", minute, false), Claim::claimed);
    EXPECT_EQ(other->claim(run("hourly", 100), "b", minute, true), Claim::claimed);
    EXPECT_EQ(ledger->running().size(), 3U);
}

TEST_P(LedgerTest, ManyAskAtTheSameTimeAndOneGetsIt) {
    constexpr int rounds = 20;
    std::atomic<int> claimed{0};
    const auto ask = [&](int who) {
        SimWorld own{static_cast<std::uint64_t>(who)};
        const auto mine = Ledger::open(Place{maker->url()}, own.world());
        for (int round = 0; round < rounds; ++round) {
            OneRun each;
            each.id = new_run_id(own.random);
            each.job = "nightly" + std::to_string(round);
            each.due = 100;
            if (mine->claim(each, "holder", minute, true) == Claim::claimed) ++claimed;
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int who = 0; who < 4; ++who) threads.emplace_back(ask, who);
    }
    EXPECT_EQ(claimed, rounds);
}

TEST_P(LedgerTest, ARunEndsWithItsOutcomesLogAndProgress) {
    OneRun done = run("nightly", 100);
    done.repository = "main";
    ASSERT_EQ(ledger->claim(done, "a", minute, true), Claim::claimed);
    EXPECT_TRUE(ledger->renew(done.id, minute, {"orders-db", 3, 10, 300, 1000}));
    EXPECT_EQ(ledger->find(done.id)->progress.bytes, 300U);
    ledger->append_log(done.id, "first\n");
    ledger->append_log(done.id, "second\n");
    sim.clock.advance(minute);
    done.state = RunState::partial;
    done.ended = sim.clock.now();
    done.code = "partial";
    done.error = "one item could not be read: it's \\ \"odd\"";
    done.outcomes = {{"orders-db", "PostgreSQL", "ab12", "ok", "", -1, 1.5, 0, 1000, 100, 10},
                     {"uploads", "Files", "", "source_failed", "gone", 4, 0.25, 12.5, 0, 0, 0}};
    EXPECT_TRUE(ledger->end(done));
    const auto found = ledger->find(done.id.substr(0, 6));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->state, RunState::partial);
    EXPECT_EQ(found->error, done.error);
    EXPECT_EQ(found->started, done.ended - minute);
    ASSERT_EQ(found->outcomes.size(), 2U);
    EXPECT_EQ(found->outcomes[0].snapshot, "ab12");
    EXPECT_EQ(found->outcomes[0].seconds, 1.5);
    EXPECT_EQ(found->outcomes[1].proof_level, 4);
    EXPECT_EQ(found->outcomes[1].restore_seconds, 12.5);
    EXPECT_EQ(ledger->log(done.id), "first\nsecond\n");
    EXPECT_FALSE(ledger->renew(done.id, minute, {}));
    EXPECT_EQ(ledger->last("nightly")->id, done.id);
    EXPECT_FALSE(ledger->last_done("nightly"));
    EXPECT_EQ(ledger->runs({.source = "uploads"}).size(), 1U);
    EXPECT_EQ(ledger->runs({.source = "other"}).size(), 0U);
    EXPECT_FALSE(ledger->find("fffffffff"));
}

TEST_P(LedgerTest, ALogKeepsItsEnd) {
    const OneRun each = run("nightly", 100);
    ledger->claim(each, "a", minute, true);
    for (int i = 0; i < 100; ++i) ledger->append_log(each.id, fmt::format("line {} {}\n", i, std::string(1000, 'x')));
    const std::string log = ledger->log(each.id);
    EXPECT_LE(log.size(), log_bytes_max);
    EXPECT_TRUE(log.starts_with("line "));
    EXPECT_THAT(log, HasSubstr("line 99"));
}

TEST_P(LedgerTest, WhatWaitsIsStartedOnceAndMayBeDropped) {
    const OneRun later = run("nightly", 100, 2), never = run("weekly", 100);
    EXPECT_TRUE(ledger->add_due(later));
    EXPECT_EQ(ledger->add_due(run("nightly", 100, 2))->id, later.id);
    EXPECT_TRUE(ledger->add_due(never));
    EXPECT_EQ(ledger->waiting().size(), 2U);
    ledger->drop_due(never.id);
    EXPECT_EQ(ledger->claim(later, "a", minute, true), Claim::claimed);
    EXPECT_EQ(open()->claim(later, "b", minute, true), Claim::taken);
    EXPECT_TRUE(ledger->waiting().empty());
}

TEST_P(LedgerTest, WhoseLeaseEndsIsInterrupted) {
    const auto unknown = [](const std::string&) { return std::optional<bool>(); };
    const OneRun lost = run("nightly", 100), kept = run("hourly", 100);
    ledger->claim(lost, "a", minute, true);
    ledger->claim(kept, "b", minute, true);
    sim.clock.advance(45 * one_second);
    EXPECT_TRUE(ledger->renew(kept.id, minute, {}));
    EXPECT_TRUE(ledger->end_abandoned(unknown).empty());
    sim.clock.advance(30 * one_second);
    const std::vector<OneRun> ended = ledger->end_abandoned(unknown);
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(ended[0].id, lost.id);
    EXPECT_EQ(ended[0].state, RunState::interrupted);
    EXPECT_EQ(ledger->claim(run("nightly", 200), "c", minute, true), Claim::claimed);
}

TEST_P(LedgerTest, WhoIsKnownToLiveOrToBeDeadNeedsNoLease) {
    const OneRun alive = run("nightly", 100), dead = run("hourly", 100);
    ledger->claim(alive, "alive", minute, true);
    ledger->claim(dead, "dead", minute, true);
    sim.clock.advance(24 * 60 * minute);  // the clock was set, or the machine slept
    const auto liveness = [](const std::string& holder) { return std::optional(holder == "alive"); };
    EXPECT_EQ(ledger->end_abandoned(liveness).size(), 1U);
    EXPECT_EQ(ledger->find(alive.id)->state, RunState::running);
    EXPECT_EQ(ledger->find(dead.id)->state, RunState::interrupted);
}

TEST_P(LedgerTest, AnOldLedgerIsBroughtUpToDate) {
    const std::string url = maker->url();
    const OneRun before = run("nightly", 100);
    ledger->claim(before, "a", minute, true);
    const auto database = url.starts_with("sqlite:") ? open_sqlite(url.substr(7)) : open_postgres(url, sim.world());
    for (const std::string_view back : {"DROP INDEX runs_without_note", "ALTER TABLE runs DROP COLUMN noted",
                                        "ALTER TABLE runs DROP COLUMN scheduled", "CREATE TABLE outbox (id TEXT)"})
        database->run(back);
    database->run("UPDATE version SET number = 1");
    EXPECT_FALSE(open()->find(before.id)->scheduled);
}

TEST_P(LedgerTest, WhoeverAsksForWhatWaitsGetsTheSame) {
    OneRun mine = run("nightly", 100), yours = run("nightly", 100);
    mine.scheduled = true;
    EXPECT_EQ(ledger->add_due(mine)->id, mine.id);
    const auto found = open()->add_due(yours);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, mine.id);
    EXPECT_TRUE(found->scheduled);
    ledger->postpone(mine.id, 500);
    EXPECT_EQ(ledger->waiting().at(0).start_at, 500);
    EXPECT_THAT(ledger->busy_jobs(), ElementsAre("nightly"));
    EXPECT_EQ(ledger->claim(mine, "a", minute, true), Claim::claimed);
    EXPECT_EQ(ledger->claim(mine, "a", minute, true), Claim::claimed);  // the answer was lost
    EXPECT_EQ(open()->claim(mine, "b", minute, true), Claim::taken);
    EXPECT_FALSE(open()->add_due(yours));
    EXPECT_THAT(ledger->busy_jobs(), ElementsAre("nightly"));
    mine.state = RunState::partial;
    ledger->end(mine);
    EXPECT_TRUE(ledger->busy_jobs().empty());
    EXPECT_EQ(ledger->last_success("nightly")->id, mine.id);
}

TEST_P(LedgerTest, AStopReachesTheHolder) {
    const OneRun each = run("nightly", 100);
    ledger->claim(each, "a", minute, true);
    open()->request_stop(each.id);
    EXPECT_FALSE(ledger->renew(each.id, minute, {}));
    EXPECT_TRUE(ledger->find(each.id)->stop);
}

TEST_P(LedgerTest, TheNewestProofOfEachSource) {
    const auto prove = [&](Nanoseconds due, const std::string& source, const std::string& result, double seconds) {
        OneRun each = run("", due);
        each.verb = "prove";
        ledger->claim(each, "a", minute, false);
        sim.clock.advance(minute);
        each.state = RunState::done;
        each.ended = sim.clock.now();
        each.outcomes = {{source, "", "ab", result, "", 4, seconds, seconds / 2, 0, 0, 0}};
        ledger->end(each);
    };
    prove(100, "orders", "pass", 10);
    prove(200, "catalog", "pass", 20);
    prove(300, "orders", "fail", 30);
    const auto proofs = ledger->newest_proofs();
    ASSERT_EQ(proofs.size(), 2U);
    EXPECT_EQ(proofs[0].second.source, "catalog");
    EXPECT_EQ(proofs[1].second.result, "fail");
    const auto of_orders = ledger->proofs("orders");
    ASSERT_EQ(of_orders.size(), 2U);
    EXPECT_EQ(of_orders[0].outcome.result, "fail");
    EXPECT_EQ(of_orders[0].ended, sim.clock.now());
    EXPECT_EQ(of_orders[1].outcome.result, "pass");
    EXPECT_EQ(of_orders[0].ended - of_orders[1].ended, 2 * minute);
    EXPECT_THAT(ledger->recovery_seconds("orders"), ElementsAre(5));
}

TEST_P(LedgerTest, Reaches) {
    ledger->tell({"orders", "following", 500, minute, 600, 0, ""});
    ledger->tell({"orders", "waiting", 0, minute, 700, 1, "the server is gone"});
    const auto reaches = ledger->reaches();
    ASSERT_EQ(reaches.size(), 1U);
    EXPECT_EQ(reaches[0].reached, 500);
    EXPECT_EQ(reaches[0].error, "the server is gone");
}

TEST_P(LedgerTest, RunsAreKeptApartUntilTheyHaveANote) {
    const auto ids = [&] {
        std::vector<std::string> out;
        for (const OneRun& each : ledger->without_note(10)) out.push_back(each.id);
        return out;
    };
    OneRun first = run("nightly", 100);
    ledger->claim(first, "a", minute, true);
    EXPECT_THAT(ids(), IsEmpty());
    sim.clock.advance(2 * minute);
    ledger->end_abandoned([](const std::string&) { return std::optional(false); });
    OneRun second = run("nightly", 200);
    second.state = RunState::skipped;
    second.ended = sim.clock.now() + minute;
    second.outcomes = {{"orders", "", "", "busy", "", -1, 0, 0, 0, 0, 0}};
    ledger->add_ended(second);
    EXPECT_THAT(ids(), ElementsAre(first.id, second.id));
    EXPECT_EQ(ledger->without_note(10)[1].outcomes.size(), 1U);
    EXPECT_EQ(ledger->without_note(1).size(), 1U);
    ledger->has_note(*ledger->find(first.id));
    ledger->has_note(second);
    EXPECT_THAT(ids(), IsEmpty());
    first.state = RunState::done;  // its process was there after all
    first.ended = sim.clock.now();
    ledger->end(first);
    EXPECT_THAT(ids(), ElementsAre(first.id));
    const OneRun before = *ledger->find(first.id);
    first.state = RunState::failed;
    ledger->has_note(first);  // says something else
    EXPECT_THAT(ids(), ElementsAre(before.id));
}

TEST_P(LedgerTest, WhatIsNoTextComesBackAsText) {
    OneRun each = run("nightly", 100);
    ledger->claim(each, "a", minute, true);
    each.state = RunState::failed;
    each.error = std::string("bad \xff byte and \0 zero", 20);
    ledger->end(each);
    EXPECT_THAT(ledger->find(each.id)->error, HasSubstr("bad "));
}

TEST_P(LedgerTest, ANewerLedgerIsRefused) {
    const std::string url = maker->url();
    const auto database = url.starts_with("sqlite:") ? open_sqlite(url.substr(7)) : open_postgres(url, sim.world());
    database->run("UPDATE version SET number = 1000");
    try {
        open();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::newer_format);
        EXPECT_THAT(error.message(), HasSubstr("of version 1000"));
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, LedgerTest,
                         ::testing::Values(
                             +[]() -> std::unique_ptr<LedgerMaker> { return std::make_unique<SqliteMaker>(); },
                             +[]() -> std::unique_ptr<LedgerMaker> { return std::make_unique<PostgresMaker>(); }),
                         [](const auto& test) { return test.index == 0 ? "Sqlite" : "Postgres"; });

OneRun nightly() {
    OneRun out;
    out.id = "a1";
    out.job = "nightly";
    out.due = 100;
    return out;
}

TEST(PostgresLedger, LeasesDoNotDependOnTheClocksOfHosts) {
    PostgresMaker maker;
    SimWorld here{1}, ahead{2};
    ahead.clock.set_now(here.clock.now() + 60 * minute);
    const auto ours = Ledger::open(Place{maker.url()}, here.world());
    const auto theirs = Ledger::open(Place{maker.url()}, ahead.world());
    const auto unknown = [](const std::string&) { return std::optional<bool>(); };
    const OneRun each = nightly();
    ASSERT_EQ(ours->claim(each, "a", minute, true), Claim::claimed);
    EXPECT_TRUE(theirs->end_abandoned(unknown).empty());
    ahead.clock.set_now(ahead.clock.now() + 60 * minute);
    EXPECT_TRUE(theirs->end_abandoned(unknown).empty());
    ahead.clock.advance(2 * minute);
    EXPECT_EQ(theirs->end_abandoned(unknown).size(), 1U);
}

TEST(PostgresLedger, WhatHasJustEndedIsNotCalledInterrupted) {
    PostgresMaker maker;
    SimWorld sim{1};
    const auto ours = Ledger::open(Place{maker.url()}, sim.world());
    const auto theirs = Ledger::open(Place{maker.url()}, sim.world());
    OneRun each = nightly();
    ASSERT_EQ(ours->claim(each, "a", minute, true), Claim::claimed);
    each.state = RunState::done;
    EXPECT_TRUE(theirs
                    ->end_abandoned([&](const std::string&) {
                        ours->end(each);  // between the look and the verdict
                        return std::optional(false);
                    })
                    .empty());
    EXPECT_EQ(ours->find("a1")->state, RunState::done);
}

Code code_of_opening(const std::string& url, SimWorld& sim) {
    try {
        Ledger::open(Place{url}, sim.world());
    } catch (const Error& error) {
        EXPECT_FALSE(error.hint().empty()) << error.message();
        return error.code();
    }
    return Code::internal;
}

TEST(SqliteLedger, WhatIsDamagedOrNoLedgerSaysSo) {
    SimWorld sim{1};
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/ledger.db";
    std::ofstream(path) << std::string(10'000, 'x');
    EXPECT_EQ(code_of_opening(path, sim), Code::corrupt);
    EXPECT_EQ(code_of_opening("mysql://host/db", sim), Code::config);
    EXPECT_EQ(code_of_opening(folder.path(), sim), Code::denied);  // a folder
    EXPECT_EQ(code_of_opening("postgres://nobody@127.0.0.1:1/none", sim), Code::unreachable);
}

TEST(SqliteLedger, DamageInsideIsFoundWhereItIsRead) {
    SimWorld sim{1};
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/ledger.db";
    Ledger::open(Place{path}, sim.world());
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        file << std::string(static_cast<std::size_t>(std::filesystem::file_size(path)) - 4096, '\xee');
    }
    EXPECT_EQ(code_of_opening(path, sim), Code::corrupt);
}

TEST(SqliteLedger, AFullDiskSaysSo) {
    SimWorld sim{1};
    const TemporaryFolder folder;
    const auto database = open_sqlite(folder.path() + "/ledger.db");
    database->run("CREATE TABLE filler (text TEXT)");
    database->run("PRAGMA max_page_count = 10");  // as when no page can be added
    try {
        for (int i = 0; i < 100; ++i) database->run("INSERT INTO filler VALUES ($1)", {std::string(4000, 'x')});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::no_space);
    }
}

}  // namespace
}  // namespace holdfast::ledger
