// Every kind of source keeps the promises of source/source.h.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/process.h"
#include "base/text.h"
#include "conformance/source_suite.h"
#include "sources/command/command_source.h"
#include "sources/files/files_source.h"
#include "sources/postgres/postgres_source.h"
#include "testing/postgres_server.h"

namespace holdfast {

namespace {

struct Tree {
    TemporaryFolder folder{"holdfast-source-", ""};
    std::string path = folder.path() + "/tree";
    ~Tree() { remove_everything(path); }
};

SourcePlace files_place() {
    auto tree = std::make_shared<Tree>();
    make_nasty_tree(tree->path, {.many_files = 5000 * test_scale()});
    const auto differs = [path = tree->path](const std::string& target) { return differences(path, target + path); };
    return {&files_source_type, {{"paths", {tree->path}}}, differs, tree};
}

std::vector<std::string> compare_output(const std::string& path, std::string_view expected) {
    const auto bytes = read_file_if_present(path);
    if (!bytes) return {path + " is missing"};
    if (as_text(*bytes) != expected) return {path + " has other content"};
    return {};
}

SourcePlace command_place() {
    const auto differs = [](const std::string& target) {
        std::string expected;
        for (int i = 1; i <= 100'000; ++i) expected += std::to_string(i) + "\n";
        return compare_output(target + "/numbers.txt", expected);
    };
    return {&command_source_type, {{"argument", {"numbers.txt"}}, {"run", {"seq", "100000"}}}, differs, nullptr};
}

constexpr auto shop = R"(
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE users (id serial PRIMARY KEY, name text, mood mood, upper text GENERATED ALWAYS AS (upper(name)) STORED);
    INSERT INTO users (name, mood) SELECT 'user ' || i, 'ok' FROM generate_series(1, 20000) i;
    CREATE TABLE orders (id int, of int REFERENCES users) PARTITION BY RANGE (id);
    CREATE TABLE "orders/1" PARTITION OF orders FOR VALUES FROM (0) TO (100);
    INSERT INTO orders SELECT i, i + 1 FROM generate_series(0, 99) i;
    CREATE TABLE empty (); CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM users;
    SELECT lo_from_bytea(4711, decode(repeat('00ff', 50000), 'hex')))";

// PostgreSQL's own programs make a database of the files, and pg_dump says whether it is the one that was captured.
std::vector<std::string> differences_from(const testing::PostgresServer& server, const std::string& target) {
    const std::string bin = "/usr/lib/postgresql/15/bin/", copy = server.url("copy"), folder = target + "/shop";
    const auto run = [](std::vector<std::string> argv) {
        return run_and_read({.argv = std::move(argv), .add_environment = {}});
    };
    const auto dump = [&](const std::string& database) {
        std::vector<std::string> out;
        for (std::string& line : split(as_text(run({bin + "pg_dump", server.url(database)})), '\n'))
            if (!line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ")) out.push_back(std::move(line));
        return out;
    };
    server.sql("DROP DATABASE IF EXISTS copy");
    server.sql("CREATE DATABASE copy TEMPLATE template0");
    for (const std::string section : {"pre-data", "data", "post-data"}) {
        if (section == "post-data")
            for (const auto& file : std::filesystem::recursive_directory_iterator(folder + "/public"))
                run({bin + "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, "-f", file.path()});
        run({bin + "pg_restore", "--exit-on-error", "--section=" + section, "-d", copy, folder + "/archive.dump"});
    }
    const std::vector<std::string> expected = dump("shop"), found = dump("copy");
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::max(expected.size(), found.size()); ++i) {
        const std::string a = i < expected.size() ? expected[i] : "nothing",
                          b = i < found.size() ? found[i] : "nothing";
        if (a != b) out.push_back(fmt::format("line {}: `{}` is `{}`", i + 1, a, b));
    }
    return out;
}

SourcePlace postgres_place() {
    auto server = std::make_shared<testing::PostgresServer>();
    server->sql("CREATE DATABASE shop TEMPLATE template0");
    server->sql(shop, "shop");
    const auto differs = [server](const std::string& target) { return differences_from(*server, target); };
    const auto is_dated = [](const std::string& path) { return path.ends_with("/archive.dump"); };
    return {&postgres_source_type, {{"argument", {server->url("shop")}}}, differs, server, is_dated};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Postgres, SourceSuite, ::testing::Values(SourceKind{"postgres", postgres_place}), source_name);
INSTANTIATE_TEST_SUITE_P(Files, SourceSuite, ::testing::Values(SourceKind{"files", files_place}), source_name);
INSTANTIATE_TEST_SUITE_P(Command, SourceSuite, ::testing::Values(SourceKind{"command", command_place}), source_name);

// rsync's opinion, where it is installed: it knows nothing of us.
TEST(FilesSource, leaves_nothing_for_rsync_to_do) {
    if (std::system("rsync --version >/dev/null 2>&1") != 0) return;
    const Tree tree;
    make_nasty_tree(tree.path, {.many_files = 100, .long_paths = false});
    SimWorld sim(1);
    const auto source = files_source_type.make("nasty", {{"paths", {tree.path}}});
    const Captured captured = capture_all(*source, sim.world());
    const std::string target = tree.folder.path() + "/target";
    const auto rebuild = files_source_type.rebuild(rebuild_request(sim.world(), target));
    rebuild_all(captured, *rebuild, {.threads = 2});
    const std::string command = "rsync -aHAXn --checksum --delete -i '" + tree.path + "/' '" + target + tree.path +
                                "/' >" + tree.folder.path() + "/said 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(as_text(read_file(tree.folder.path() + "/said")), "");
    remove_everything(target);
}

}  // namespace holdfast
