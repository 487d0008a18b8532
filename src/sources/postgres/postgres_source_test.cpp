#include "sources/postgres/postgres_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "clients/postgres/connection.h"
#include "clients/postgres/tools.h"
#include "sources/postgres/globals.h"
#include "sources/postgres/names.h"
#include "sources/postgres/row_checksum.h"
#include "sources/postgres/toc.h"
#include "testing/postgres_server.h"

namespace holdfast {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// One for all tests of the program; each makes databases of its own.
testing::PostgresServer& server() {
    static testing::PostgresServer server;
    return server;
}

class PostgresSourceTest : public ::testing::Test {
protected:
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};

    struct Captured {
        std::vector<std::pair<Item, Bytes>> items;
        CaptureSummary summary;
    };
    Captured capture(const SourceOptions& options) {
        const auto source = postgres_source_type.make("db", options);
        const auto capture = source->begin({world_});
        Captured out;
        Batch batch;
        while (capture->next(batch)) {
            for (const Batch::Entry& entry : batch.entries) {
                Bytes bytes;
                if (entry.item.kind == ItemKind::file) {
                    const auto opened = capture->open(batch, entry);
                    while (true) {
                        const std::size_t at = bytes.size();
                        bytes.resize(at + 1001);
                        const std::size_t got = opened.data->read(MutableByteView(bytes).subspan(at)).bytes;
                        bytes.resize(at + got);
                        if (got == 0) break;
                    }
                }
                out.items.emplace_back(entry.item, std::move(bytes));
            }
        }
        out.summary = capture->finish();
        return out;
    }
    Rebuild::Summary restore(const Captured& captured, RebuildRequest request) {
        request.facts = captured.summary.facts;
        const auto rebuild = postgres_source_type.rebuild(request);
        for (const auto& [item, bytes] : captured.items) {
            const Rebuild::Ticket ticket = rebuild->begin_item(item);
            if (!ticket.wants_content) continue;
            for (std::size_t at = 0; at < bytes.size(); at += 997)
                rebuild->write(ticket, at, ByteView(bytes).subspan(at, std::min<std::size_t>(997, bytes.size() - at)));
            rebuild->end_item(ticket);
        }
        return rebuild->finish();
    }
    std::vector<std::string> differences(const Facts& expected, const std::string& target,
                                         const std::vector<std::string>& only = {}) {
        const Facts found = postgres_source_type.measure({world_, server().url(target), expected, only});
        std::vector<std::string> out;
        for (const CheckLine& line : compare_facts(expected, found, only))
            if (line.result != CheckLine::Result::pass)
                out.push_back(fmt::format("{}: {} {}", line.name, line.expected, line.found));
        return out;
    }
};

constexpr auto shop = R"(
    CREATE SCHEMA "odd/one";
    CREATE TABLE orders (id serial PRIMARY KEY, state varchar(9) CHECK (state IN ('new', 'paid')), at timestamptz);
    INSERT INTO orders (state, at) SELECT 'new', timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, 3000) i;
    CREATE TABLE parent (a int); CREATE TABLE child (c int) INHERITS (parent); ALTER TABLE parent ADD b text DEFAULT 'b';
    INSERT INTO child VALUES (1, 2), (3, 4);
    CREATE TABLE "odd/one"."t" (x int); INSERT INTO "odd/one"."t" VALUES (1), (1), (2);
    CREATE VIEW paid AS SELECT id FROM orders WHERE state IN ('paid', 'new'))";

TEST_F(PostgresSourceTest, OfAnotherMajorVersionDefinitionsAreNotToldApart) {
    server().sql("CREATE DATABASE older");
    server().sql("CREATE TABLE t AS SELECT 1 AS a", "older");
    Facts facts = *capture({{"argument", {server().url("older")}}}).summary.facts;
    // As PostgreSQL 14 has it, by a pg_dump of then.
    std::erase_if(facts.list, [](const Fact& fact) { return fact.name == "large objects"; });
    for (Fact& fact : facts.list) {
        if (fact.name == "about server version") fact.value = "14.9";
        if (fact.name == "collation") fact.value.resize(fact.value.rfind(' '));
        if (fact.name == "schema" || fact.name == "privileges") fact.value = "other";
        if (fact.name == "rows") fact.value = "2";
    }
    const Facts found = postgres_source_type.measure({world_, server().url("older"), facts, {}});
    std::map<CheckLine::Result, std::set<std::string>> names;
    for (const CheckLine& line : compare_facts(facts, found, {})) names[line.result].insert(line.name);
    EXPECT_THAT(names[CheckLine::Result::not_tested],
                UnorderedElementsAre("older collation", "older large objects", "older privileges", "older schema"));
    EXPECT_THAT(names[CheckLine::Result::fail], ElementsAre("older/public/t rows"));
    EXPECT_THAT(names[CheckLine::Result::pass], Contains("older/public/t checksum"));
}

TEST_F(PostgresSourceTest, WhatWasCapturedAndRestoredHasEqualFacts) {
    server().sql("CREATE DATABASE facts");
    server().sql(shop, "facts");
    const Captured captured = capture({{"argument", {server().url("facts")}}});
    std::vector<std::string> paths;
    for (const auto& [item, bytes] : captured.items) paths.push_back(item.path);
    EXPECT_THAT(paths,
                ElementsAre("facts", "globals.sql", "facts/archive.dump", "facts/odd%2Fone", "facts/public",
                            "facts/odd%2Fone/t", "facts/public/child", "facts/public/orders", "facts/public/parent"));
    const Facts& facts = *captured.summary.facts;
    EXPECT_EQ(facts.basis, "same-view");
    EXPECT_EQ(facts.value("facts/public/orders", "rows"), "3000");
    EXPECT_EQ(facts.value("facts/public/orders_id_seq", "last value"), "3000");
    EXPECT_EQ(facts.value("facts", "extensions"), "plpgsql");

    const auto summary =
        restore(captured, {.world = world_, .target = server().url("facts_copy"), .snapshot_id = "1", .strip = ""});
    EXPECT_THAT(summary.findings, IsEmpty());
    EXPECT_THAT(differences(facts, "facts_copy"), IsEmpty());

    server().sql("UPDATE \"odd/one\".t SET x = 3 WHERE x = 2; DROP TABLE orders CASCADE; CREATE TABLE more (a int)",
                 "facts_copy");
    const std::vector<std::string> found = differences(facts, "facts_copy");
    EXPECT_THAT(found, Contains("facts/public/orders rows: 3000 missing"));
    EXPECT_THAT(found, Contains(HasSubstr("facts/odd%2Fone/t checksum")));
    EXPECT_THAT(found, Contains("facts/public/more rows: absent 0"));
    EXPECT_THAT(found, Contains(HasSubstr("facts schema")));
    EXPECT_THAT(differences(facts, "facts_copy", {"facts/public/child"}), IsEmpty());
    EXPECT_EQ(differences(facts, "facts_copy", {"facts/odd%2Fone"}).size(), 1U);
}

TEST_F(PostgresSourceTest, AQueryGivesItsFirstValueAndEndsInTime) {
    EXPECT_EQ(postgres_source_type.query(world_, server().url(""), "SELECT 40 + 2, 1", one_second), "42");
    try {
        postgres_source_type.query(world_, server().url(""), "SELECT pg_sleep(60)", one_second / 10);
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::target_failed);
        EXPECT_THAT(error.message(), HasSubstr("statement timeout"));
    }
}

TEST_F(PostgresSourceTest, AStopEndsWhatTheServerDoes) {
    postgres::Connection connection(world_, postgres::Endpoint::parse(server().url("postgres")), Code::source_failed);
    stop_.request();
    EXPECT_THROW(connection.query("SELECT pg_sleep(600)"), Error);
    EXPECT_EQ(server().sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND state = 'active' "
                           "AND pid <> pg_backend_pid()"),
              "0");
}

TEST(PostgresNames, PartsSurviveSlashesDotsAndOurOwnNames) {
    for (const std::string name : {"plain", "a/b", "100%", "%2F", ".", "..", "archive.dump", "globals.sql", "ü\n\""}) {
        EXPECT_EQ(postgres::decode_part(postgres::encode_part(name)), name);
        EXPECT_EQ(postgres::encode_part(name).find('/'), std::string::npos);
    }
    EXPECT_EQ(postgres::item_path("d", "archive.dump", ".."), "d/archive%2Edump/%2E%2E");
    EXPECT_TRUE(postgres::is_archive("d/archive.dump"));
    EXPECT_FALSE(postgres::is_archive("d/archive.dump/t"));
    EXPECT_FALSE(postgres::is_archive("archive.dump"));
}

TEST(PostgresChecksum, TheOrderOfRowsDoesNotMatterAndEveryByteDoes) {
    const auto sum = [](const std::vector<std::string>& rows) {
        postgres::RowChecksum out;
        for (const std::string& row : rows) out.add(as_bytes(row));
        return out.hex();
    };
    EXPECT_EQ(sum({"a", "b", "a"}), sum({"a", "a", "b"}));
    EXPECT_NE(sum({"a", "b"}), sum({"a", "a", "b"}));
    EXPECT_NE(sum({"ab", "c"}), sum({"a", "bc"}));
    EXPECT_NE(sum({""}), sum({}));
    std::set<std::string> seen;
    for (std::size_t length = 0; length < 70; ++length) {
        std::string row(length, 'x');
        EXPECT_TRUE(seen.insert(sum({row})).second);
        for (std::size_t i = 0; i < length; ++i) {
            std::string other = row;
            other[i] = 'y';
            EXPECT_TRUE(seen.insert(sum({other})).second) << length << " " << i;
        }
    }
}

TEST(PostgresGlobals, StatementsEndAtSemicolonsOutsideOfQuotes) {
    EXPECT_THAT(postgres::split_statements("-- it's; a comment\nA 'x;''y';B \"q;\" ;\n\nC E'\\';';"),
                ElementsAre("A 'x;''y'", "B \"q;\" ", "C E'\\';'"));
}

TEST(PostgresToc, WhatIsNoArchiveIsRefusedAndAPieceAsksForMore) {
    EXPECT_THROW(postgres::read_toc(as_bytes("something else")), Error);
    EXPECT_EQ(postgres::read_toc(as_bytes("PGDMP\x01")), std::nullopt);
}

TEST(PostgresAddress, GivesThePasswordOfAClientKeyToChildrenInAServiceFile) {
    const auto endpoint = postgres::Endpoint::parse("postgres://me@db1/shop?sslkey=/k&sslpassword=hush");
    EXPECT_EQ(endpoint.child_conninfo(), "dbname='shop' host='db1' service='holdfast' sslkey='/k' user='me'");
    EXPECT_EQ(endpoint.service_file(), "[holdfast]\nsslpassword=hush\n");
    EXPECT_EQ(postgres::Endpoint::parse("postgres://me@db1/shop?service=x").service_file(), "");
    EXPECT_THROW(postgres::Endpoint::parse("postgres://me@db1/shop?sslpassword=hush&service=x").service_file(), Error);
}

TEST_F(PostgresSourceTest, AProgramReadsItsServiceFileWhileItsCommandLineAndEnvironmentHaveNoPassword) {
    const TemporaryFolder folder;
    const std::string program = folder.path() + "/program";
    write_file_durably(program, as_bytes("#!/bin/sh\ncat \"$PGSERVICEFILE\" \"$PGSERVICEFILE\"\necho \"$*\"\nenv\n"));
    ASSERT_EQ(::chmod(program.c_str(), 0700), 0);
    const auto endpoint = postgres::Endpoint::parse("postgres://me@db1/shop?sslkey=/k&sslpassword=hush");
    const Bytes printed = postgres::run_tool(world_, endpoint, {program}, Code::failed);
    const std::string text(as_text(printed)), file = endpoint.service_file();
    EXPECT_THAT(text, ::testing::StartsWith(file + file));
    EXPECT_THAT(text, HasSubstr("service='holdfast'"));
    EXPECT_THAT(text.substr(2 * file.size()), ::testing::Not(HasSubstr("hush")));
}

TEST_F(PostgresSourceTest, AServerThatAnswersNoMoreIsGivenUp) {
    const TemporaryFolder folder;
    ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
    const std::string mark = folder.path() + "/stopped";
    const std::string stop = fmt::format(
        "DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'echo $PPID > {}; kill -STOP $PPID'; END $$; SELECT 1", mark);
    try {
        postgres_source_type.query(world_, server().url("postgres"), stop, one_second);
        ADD_FAILURE() << "it was answered";
    } catch (const Error& error) {
        EXPECT_THAT(error.message(), HasSubstr("did not answer within 2"));
    }
    const pid_t stopped = std::stoi(std::string(as_text(read_file(mark))));
    std::string state;
    std::getline(std::ifstream(fmt::format("/proc/{}/stat", stopped)), state);
    EXPECT_THAT(state, HasSubstr(") T "));
    EXPECT_EQ(::kill(stopped, SIGCONT), 0);
}

TEST(PostgresAddress, ShowsNoPassword) {
    const auto endpoint = postgres::Endpoint::parse("postgres://me:hush@db1:5433/shop?sslmode=require");
    EXPECT_EQ(endpoint.shown(), "postgres://me@db1:5433/shop");
    EXPECT_THAT(endpoint.child_conninfo(), ::testing::Not(HasSubstr("hush")));
    EXPECT_THAT(endpoint.environment(), Contains(std::pair<std::string, std::string>("PGPASSWORD", "hush")));
    EXPECT_EQ(postgres::quote_name("a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(postgres::quote_literal("it's \\"), "E'it''s \\\\'");
}

}  // namespace
}  // namespace holdfast
