#include "filled_repository.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {
namespace {

using engine::CopyReport;
using repo::Repository;

CopyReport copy(Repository& from, Repository& to, const std::vector<repo::SnapshotId>& ids = {}, bool dry_run = false) {
    engine::Progress progress;
    return engine::copy(from, to, ids, dry_run, progress);
}

MemoryTree first_tree() {
    return {{"/a/large", {noise(1, 9'000'000)}},
            {"/a/small", {noise(2, 2'000)}},
            {"/b/hole", {"x", 1, 1'000'000}},
            {"/c", {}}};
}
MemoryTree second_tree() {
    MemoryTree tree = first_tree();
    tree["/a/new"] = {noise(5, 200'000)};
    tree["/a/small"] = {noise(6, 3'000), 2};
    return tree;
}

TEST(Copy, keeps_id_time_tags_and_bytes) {
    FilledRepository from(1), to(2);
    const repo::Snapshot one = from.back_up(first_tree()), two = from.back_up(second_tree());
    const auto origin = from.open(), target = to.open();
    to.sim.clock.advance(90 * 24 * 3600 * one_second);
    const CopyReport report = copy(*origin, *target);
    ASSERT_EQ(report.snapshots.size(), 2U);
    EXPECT_FALSE(report.snapshots[0].already_there);
    EXPECT_GT(report.bytes_added, 9'200'000U);
    EXPECT_LT(report.bytes_added, 9'500'000U) << "what both snapshots share is stored once";

    const auto again = to.open();
    ASSERT_EQ(again->snapshots().size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        const repo::Snapshot& copied = again->snapshots()[i];
        const repo::Snapshot& original = origin->snapshots()[i];
        EXPECT_EQ(copied.id, original.id);
        EXPECT_EQ(copied.origin, original.id);
        EXPECT_EQ(copied.source, original.source);
        EXPECT_EQ(copied.host, original.host);
        EXPECT_EQ(copied.tags, original.tags);
        EXPECT_EQ(copied.time, original.time);
        EXPECT_EQ(copied.received, original.received);
        EXPECT_EQ(copied.items, original.items);
        EXPECT_EQ(copied.describes, original.describes);
    }
    EXPECT_EQ(restored(*again, one.id), contents_of(first_tree()));
    EXPECT_EQ(restored(*again, two.id), contents_of(second_tree()));
    engine::Progress progress;
    EXPECT_TRUE(engine::check(*again, {true, {}, {}}, progress).errors.empty());
}

TEST(Copy, a_second_time_copies_nothing_and_later_only_what_changed) {
    FilledRepository from(1), to(2);
    from.back_up(first_tree());
    copy(*from.open(), *to.open());
    const std::size_t objects = to.store.names().size();
    const CopyReport again = copy(*from.open(), *to.open());
    ASSERT_EQ(again.snapshots.size(), 1U);
    EXPECT_TRUE(again.snapshots[0].already_there);
    EXPECT_EQ(again.bytes_added, 0U);
    EXPECT_EQ(to.store.names().size(), objects);

    const repo::Snapshot two = from.back_up(second_tree());
    const CopyReport later = copy(*from.open(), *to.open());
    EXPECT_LT(later.bytes_read, 1'000'000U) << "what did not change has its name in the target already";
    EXPECT_EQ(restored(*to.open(), two.id), contents_of(second_tree()));
}

TEST(Copy, of_a_copy_keeps_the_first_signed_record) {
    FilledRepository from(1), middle(2), to(3);
    const repo::Snapshot snapshot = from.back_up(first_tree());
    copy(*from.open(), *middle.open());
    copy(*middle.open(), *to.open());
    const auto target = to.open();
    ASSERT_EQ(target->snapshots().size(), 1U);
    EXPECT_EQ(target->snapshots()[0].id, snapshot.id);
    EXPECT_EQ(target->log().snapshots()[0].provenance, from.open()->log().snapshots()[0].record);
    EXPECT_TRUE(copy(*from.open(), *target).snapshots[0].already_there)
        << "it is the same snapshot by whichever way it came";
}

TEST(Copy, carries_holds_tags_and_flags_also_when_they_come_later) {
    FilledRepository from(1), to(2);
    const repo::Snapshot snapshot = from.back_up(first_tree());
    from.open()->notes().append(snapshot.id, repo::NoteKind::hold, 5, "audit");
    copy(*from.open(), *to.open());
    from.open()->notes().append(snapshot.id, repo::NoteKind::tag, 6, "release=9");
    from.open()->notes().append(snapshot.id, repo::NoteKind::flag, 7, "entropy");
    copy(*from.open(), *to.open());
    copy(*from.open(), *to.open());
    const auto target = to.open();
    EXPECT_EQ(target->snapshots()[0].holds, std::vector<std::string>{"audit"});
    EXPECT_EQ(target->snapshots()[0].flags, std::vector<std::string>{"entropy"});
    EXPECT_EQ(target->snapshots()[0].tags.at("release"), "9");
    EXPECT_EQ(target->notes().of(snapshot.id).size(), 4U) << "each is carried once";
}

TEST(Copy, what_the_target_forgot_does_not_come_back) {
    FilledRepository from(1), to(2);
    const repo::Snapshot snapshot = from.back_up(first_tree());
    copy(*from.open(), *to.open());
    to.open()->forget({snapshot.id}, "test");
    EXPECT_TRUE(copy(*from.open(), *to.open()).snapshots.empty());
    EXPECT_THROW(copy(*from.open(), *to.open(), {snapshot.id}), Error);
}

TEST(Copy, of_chosen_snapshots_leaves_the_others) {
    FilledRepository from(1), to(2);
    from.back_up(first_tree());
    const repo::Snapshot two = from.back_up(second_tree());
    copy(*from.open(), *to.open(), {two.id});
    ASSERT_EQ(to.open()->snapshots().size(), 1U);
    EXPECT_EQ(restored(*to.open(), two.id), contents_of(second_tree()));
    EXPECT_THROW(copy(*from.open(), *to.open(), {repo::SnapshotId{}}), Error);
}

TEST(Copy, dry_run_writes_nothing) {
    FilledRepository from(1), to(2);
    from.back_up(first_tree());
    const std::size_t objects = to.store.names().size();
    const CopyReport report = copy(*from.open(), *to.open(), {}, true);
    EXPECT_EQ(report.snapshots.size(), 1U);
    EXPECT_GT(report.bytes_read, 9'000'000U);
    EXPECT_EQ(to.store.names().size(), objects);
}

TEST(Copy, a_damaged_snapshot_does_not_keep_others_back) {
    FilledRepository from(1), to(2);
    const repo::Snapshot bad = from.back_up({{"/bad", {noise(8, 100'000)}}}, "bad");
    const std::string pack = from.store.names("data/").front();
    const repo::Snapshot good = from.back_up(first_tree(), "good");
    from.flip(pack, 50'000);
    try {
        copy(*from.open(), *to.open());
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
        EXPECT_NE(error.message().find(bad.id.short_hex()), std::string::npos);
    }
    ASSERT_EQ(to.open()->snapshots().size(), 1U);
    EXPECT_EQ(restored(*to.open(), good.id), contents_of(first_tree()));
}

TEST(Copy, is_taken_up_again_after_a_crash) {
    FilledRepository from(1), to(2);
    const repo::Snapshot snapshot = from.back_up(first_tree());
    for (std::uint64_t writes = 0; writes < 6; ++writes) {
        auto faulty = std::make_unique<FaultyStore>(to.store, to.sim);
        FaultyStore& store = *faulty;
        const auto target = Repository::open(std::move(faulty), test_key(), {""}, to.sim.world());
        store.crash_after(writes);
        try {
            copy(*from.open(), *target);
        } catch (const std::exception&) {
            EXPECT_TRUE(store.crashed());
        }
    }
    copy(*from.open(), *to.open());
    EXPECT_EQ(restored(*to.open(), snapshot.id), contents_of(first_tree()));
    engine::Progress progress;
    EXPECT_TRUE(engine::check(*to.open(), {true, {}, {}}, progress).errors.empty());
}

TEST(Copy, into_itself_is_refused) {
    FilledRepository from(1);
    from.back_up(first_tree());
    EXPECT_THROW(copy(*from.open(), *from.open()), Error);
}

}  // namespace
}  // namespace holdfast::testing_support
