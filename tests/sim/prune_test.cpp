#include "base/file.h"
#include "filled_repository.h"

namespace holdfast::testing_support {
namespace {

engine::PruneReport prune(repo::Repository& repository) {
    engine::Progress progress;
    return engine::prune(repository, {}, progress);
}

MemoryTree two_files() { return {{"/a/large", {noise(1, 300'000)}}, {"/a/small", {noise(2, 2'000)}}}; }

// A backup that stored a damaged chunk again leaves two places of it, of which one is worth nothing.
TEST(Prune, keeps_the_place_that_healed_a_damaged_chunk) {
    for (const bool knows_of_the_damage : {true, false}) {
        FilledRepository small;
        const TemporaryFolder folder;
        small.back_up(*small.open(folder.path()), two_files());
        small.flip(small.store.names("data/").front(), 50'000);
        ASSERT_EQ(read_all(*small.open(folder.path())).errors.size(), 1U);
        const repo::Snapshot healed = small.back_up(*small.open(folder.path()), two_files());
        ASSERT_EQ(restored(*small.open(), healed.id), contents_of(two_files()));
        for (int i = 0; i < 3; ++i) prune(*small.open(knows_of_the_damage ? folder.path() : ""));
        EXPECT_TRUE(restored(*small.open(), healed.id) == contents_of(two_files()));
    }
}

TEST(Prune, does_not_copy_a_damaged_pack_and_leaves_it_where_it_is) {
    FilledRepository small;
    const repo::Snapshot whole = small.back_up({{"/a", {noise(1, 900'000)}}, {"/b", {noise(2, 900'000)}}});
    const std::string pack = small.store.names("data/").front();
    small.back_up({{"/a", {noise(1, 900'000)}}});
    small.open()->forget({whole.id}, "test");
    small.flip(pack, 100'000);
    const engine::PruneReport report = prune(*small.open());
    EXPECT_EQ(report.packs_rewritten, 0U);
    EXPECT_TRUE(small.sim.log.contains("stays as it is"));
    EXPECT_TRUE(small.store.find(pack));
    EXPECT_EQ(all_of(read_all(*small.open())).find("missing"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::testing_support
