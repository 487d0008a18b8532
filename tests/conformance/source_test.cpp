// Every kind of source keeps the promises of source/source.h.
#include <cstdio>
#include <cstdlib>

#include "conformance/source_suite.h"
#include "sources/command/command_source.h"
#include "sources/files/files_source.h"

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

}  // namespace

INSTANTIATE_TEST_SUITE_P(Files, SourceSuite, testing::Values(SourceKind{"files", files_place}), source_name);
INSTANTIATE_TEST_SUITE_P(Command, SourceSuite, testing::Values(SourceKind{"command", command_place}), source_name);

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
