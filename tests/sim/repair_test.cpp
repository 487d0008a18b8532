// What is damaged here comes back from a copy, whatever it is that is damaged.
#include "engine/repair.h"
#include "base/file.h"
#include "filled_repository.h"
#include "repo/notes.h"

namespace holdfast::testing_support {
namespace {

using engine::RepairReport;
using repo::Repository;

MemoryTree tree_of(std::int64_t version) {
    return {{"/a/large", {noise(1, 400'000)}},
            {"/a/small", {noise(static_cast<std::uint64_t>(10 + version), 2'000), version}},
            {"/b/hole", {"x", 1, 1'000'000}},
            {"/c", {noise(3, 90'000)}}};
}

RepairReport repair(Repository& repository, Repository& from, bool dry_run = false) {
    engine::Progress progress;
    return engine::repair(repository, from, {true, {}, {}}, dry_run, progress);
}

class Repair : public testing::Test {
protected:
    void SetUp() override {
        ids_ = {damaged_.back_up(tree_of(1)).id, damaged_.back_up(tree_of(2)).id};
        engine::Progress progress;
        const auto from = damaged_.open();
        engine::copy(*from, *sound_.open(), {}, false, progress);
    }
    void expect_whole() {
        const auto repository = damaged_.open();
        EXPECT_TRUE(restored(*repository, ids_[0]) == contents_of(tree_of(1)));
        EXPECT_TRUE(restored(*repository, ids_[1]) == contents_of(tree_of(2)));
    }

    FilledRepository damaged_{1, {.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}};
    FilledRepository sound_{2, {.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}};
    std::vector<repo::SnapshotId> ids_;
};

TEST_F(Repair, brings_back_every_pack_that_is_gone_or_damaged) {
    const MemoryStore::Objects whole = damaged_.store.objects();
    for (const std::string prefix : {"data/", "meta/"}) {
        for (const std::string& pack : damaged_.store.names(prefix)) {
            for (const bool is_gone : {true, false}) {
                SCOPED_TRACE(pack + (is_gone ? " gone" : " flipped"));
                const TemporaryFolder client;
                if (is_gone)
                    damaged_.store.remove(pack);
                else
                    damaged_.flip(pack, damaged_.store.read(pack)->size() / 3);
                const auto repository = damaged_.open(client.path());
                const auto from = sound_.open();
                EXPECT_GT(repair(*repository, *from, true).chunks, 0U);
                const RepairReport report = repair(*repository, *from);
                EXPECT_GT(report.chunks, 0U);
                EXPECT_TRUE(report.failed.empty()) << (report.failed.empty() ? "" : report.failed[0].why);
                EXPECT_TRUE(report.absent.empty());
                expect_whole();
                EXPECT_EQ(repair(*damaged_.open(client.path()), *from).chunks, 0U)
                    << "the second time there is nothing";
                damaged_.store.set_objects(whole);
            }
        }
    }
}

TEST_F(Repair, a_copy_is_repaired_from_its_origin) {
    for (const std::string& pack : sound_.store.names("data/")) sound_.store.remove(pack);
    for (const std::string& pack : sound_.store.names("meta/")) sound_.store.remove(pack);
    const auto from = damaged_.open();
    const TemporaryFolder client;
    const RepairReport report = repair(*sound_.open(client.path()), *from);
    EXPECT_EQ(report.repaired.size(), 2U);
    EXPECT_TRUE(restored(*sound_.open(), ids_[1]) == contents_of(tree_of(2)));
}

TEST_F(Repair, what_the_other_has_not_or_has_damaged_is_told) {
    const repo::SnapshotId third = damaged_.back_up(tree_of(3)).id;
    for (const std::string& pack : damaged_.store.names("data/")) damaged_.store.remove(pack);
    sound_.flip(sound_.store.names("data/").front(), 5'000);
    const TemporaryFolder client;
    const RepairReport report = repair(*damaged_.open(client.path()), *sound_.open());
    EXPECT_EQ(report.absent, std::vector<repo::SnapshotId>{third});
    EXPECT_EQ(report.not_whole, report.absent);
    EXPECT_TRUE(report.left.empty());
    EXPECT_FALSE(report.failed.empty());
    EXPECT_FALSE(check(*damaged_.open(client.path())).errors.empty());
}

TEST_F(Repair, a_snapshot_that_the_other_has_not_is_whole_by_what_came_for_others) {
    const repo::SnapshotId third = damaged_.back_up(tree_of(2)).id;
    const auto last = damaged_.store.names("data/");
    for (const std::string& pack : last) damaged_.store.remove(pack);
    const TemporaryFolder client;
    const RepairReport report = repair(*damaged_.open(client.path()), *sound_.open());
    EXPECT_EQ(report.absent, std::vector<repo::SnapshotId>{third});
    EXPECT_TRUE(report.not_whole.empty());
    EXPECT_TRUE(restored(*damaged_.open(), third) == contents_of(tree_of(2)));
}

TEST_F(Repair, damage_that_lies_in_no_pack_is_told_as_left) {
    const auto repository = damaged_.open();
    repository->notes().append(ids_[0], repo::NoteKind::hold, 5, "audit");
    const std::string note = damaged_.store.names("notes/").front();
    damaged_.flip(note, damaged_.store.read(note)->size() - 1);
    const RepairReport report = repair(*damaged_.open(), *sound_.open());
    ASSERT_EQ(report.left.size(), 1U);
    EXPECT_EQ(report.left[0].object, note);
    EXPECT_TRUE(report.failed.empty());
}

TEST_F(Repair, a_sound_repository_stays_as_it_is) {
    const std::size_t objects = damaged_.store.names().size();
    const RepairReport report = repair(*damaged_.open(), *sound_.open());
    EXPECT_EQ(report.chunks, 0U);
    EXPECT_EQ(damaged_.store.names().size(), objects);
}

}  // namespace
}  // namespace holdfast::testing_support
