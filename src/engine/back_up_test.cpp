#include "engine/back_up.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <random>

#include "base/error.h"
#include "engine/left_out.h"
#include "engine/look.h"
#include "engine/restore.h"
#include "repo/tree.h"
#include "store/decorator.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast::engine {
namespace {

using testing_support::contents_of;
using testing_support::MemorySource;
using testing_support::MemoryTarget;
using testing_support::MemoryTree;

std::string noise(std::mt19937_64& random, std::size_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
}

class BackUp : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    MemoryTree tree_;
    std::mt19937_64 random_{7};

    BackUp() {
        for (std::size_t i = 0; i < 400; ++i)
            tree_[fmt::format("/srv/{}/{}/file-{}", i % 5, i % 3, i)] = {noise(random_, i * 37 % 9000)};
        tree_["/srv/empty"] = {""};
        tree_["/srv/large"] = {noise(random_, 6'000'000)};
        tree_["/srv/sparse"] = {noise(random_, 100'000), 1, 50'000'000};
        tree_["/srv/small-sparse"] = {"x", 1, 30'000};
    }
    BackupReport back_up(const BackupPlan& plan = {}, std::uint64_t* opened = nullptr) {
        const auto repository = world_.open();
        MemorySource source(tree_);
        Progress progress;
        BackupReport report = engine::back_up(source, *repository, plan, progress);
        if (opened != nullptr) *opened = source.opened;
        world_.sim.clock.advance(one_second);
        return report;
    }
    std::map<std::string, std::string> restored(const repo::SnapshotId& id, std::vector<std::string> include = {}) {
        const auto repository = world_.open();
        MemoryTarget target;
        Progress progress;
        const RestoreReport report = restore(*repository, {id, std::move(include), {}, {}}, target, progress);
        EXPECT_TRUE(report.damaged.empty());
        return target.files;
    }
    std::map<std::string, std::uint64_t> links_of(const repo::Snapshot& snapshot) {
        const auto repository = world_.open();
        std::map<std::string, std::uint64_t> out;
        list(*repository, snapshot, "", true, [&](const Item& item) {
            if (item.hard_link != 0) out[item.path] = item.hard_link;
            return true;
        });
        return out;
    }
};

TEST_F(BackUp, gives_back_every_byte) {
    const BackupReport report = back_up();
    EXPECT_EQ(report.snapshot.counts.added, report.snapshot.items);
    EXPECT_TRUE(report.findings.empty());
    EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, reads_nothing_and_stores_nothing_when_nothing_changed) {
    const BackupReport first = back_up();
    std::uint64_t opened = 0;
    const BackupReport second = back_up({}, &opened);
    EXPECT_EQ(opened, 0U);
    EXPECT_EQ(second.snapshot.bytes.stored, 0U);
    EXPECT_EQ(second.snapshot.counts.unchanged, first.snapshot.items);
    EXPECT_EQ(second.snapshot.root, first.snapshot.root);
    EXPECT_EQ(second.snapshot.bytes.logical, first.snapshot.bytes.logical);
    EXPECT_EQ(restored(second.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, reads_only_what_changed) {
    const auto before = contents_of(tree_);
    const BackupReport first = back_up();
    tree_["/srv/3/1/file-13"] = {"changed", 2};
    tree_["/srv/new/file"] = {"new"};
    tree_.erase("/srv/4/0/file-9");
    tree_.erase("/srv/0/0/file-0");
    std::uint64_t opened = 0;
    const BackupReport second = back_up({}, &opened);
    EXPECT_EQ(opened, 2U);
    EXPECT_EQ(second.snapshot.counts.changed, 1U);
    EXPECT_EQ(second.snapshot.counts.added, 2U);  // the file and its folder
    EXPECT_EQ(restored(second.snapshot.id), contents_of(tree_));
    EXPECT_EQ(restored(first.snapshot.id), before);
}

TEST_F(BackUp, a_reread_takes_nothing_on_trust) {
    back_up();
    tree_["/srv/large"].bytes[3'000'000] ^= 1;  // changed behind the back of its version
    const BackupReport trusting = back_up();
    EXPECT_NE(restored(trusting.snapshot.id), contents_of(tree_));
    const BackupReport reread = back_up({.tags = {}, .host = {}, .dry_run = false, .reread = true});
    EXPECT_EQ(restored(reread.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, a_dry_run_counts_and_writes_nothing) {
    const auto before = world_.store.names();
    const BackupReport report = back_up({.tags = {}, .host = {}, .dry_run = true, .reread = false});
    EXPECT_EQ(world_.store.names(), before);
    EXPECT_GT(report.snapshot.bytes.added, 6'000'000U);
    EXPECT_TRUE(report.snapshot.id.is_zero());
}

TEST_F(BackUp, cuts_do_not_depend_on_earlier_snapshots_or_timing) {
    const BackupReport first = back_up();
    testing_support::SmallRepository other(1);  // the same seed, so the same keys
    for (int round = 0; round < 3; ++round) {
        const auto repository = other.open();
        MemorySource source(tree_);
        Progress progress;
        EXPECT_EQ(
            engine::back_up(source, *repository, {.tags = {}, .host = {}, .dry_run = false, .reread = true}, progress)
                .snapshot.root,
            first.snapshot.root);
    }
}

TEST_F(BackUp, equal_small_files_are_stored_once) {
    tree_.clear();
    const std::string same = noise(random_, 20'000);
    for (int i = 0; i < 200; ++i) tree_[fmt::format("/copies/{}", i)] = {same};
    EXPECT_LT(back_up().snapshot.bytes.stored, 60'000U);
}

TEST_F(BackUp, a_renamed_folder_costs_little) {
    MemoryTree renamed;
    for (int i = 0; i < 600; ++i) tree_[fmt::format("/old/file-{}", i)] = {noise(random_, 3000)};
    back_up();
    for (const auto& [path, file] : tree_) renamed[path.starts_with("/old/") ? "/new/" + path.substr(5) : path] = file;
    tree_ = renamed;
    const BackupReport second = back_up();
    EXPECT_LT(second.snapshot.bytes.stored, 900'000U);  // of 1.8 MB: bundles at its ends are cut anew
    EXPECT_EQ(restored(second.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, restores_a_part) {
    const BackupReport report = back_up();
    const auto part = restored(report.snapshot.id, {"/srv/3"});
    EXPECT_FALSE(part.empty());
    for (const auto& [path, bytes] : part) EXPECT_EQ(bytes, tree_.at(path).bytes) << path;
    EXPECT_EQ(restored(report.snapshot.id, {"file-1?"}).size(), 10U);
    EXPECT_THROW(restored(report.snapshot.id, {"/nowhere"}), Error);
}

TEST_F(BackUp, tells_what_differs_between_two_snapshots) {
    const BackupReport first = back_up();
    tree_["/srv/3/1/file-13"] = {"changed", 2};
    tree_["/srv/zz"] = {"new"};
    tree_["/srv/large"].version = 9;  // touched only
    tree_.erase("/srv/4/0/file-9");
    const BackupReport second = back_up();
    const auto repository = world_.open();
    std::map<std::string, Change> found;
    diff(*repository, first.snapshot, second.snapshot, "",
         [&](const Difference& difference) { found[difference.path] = difference.change; });
    EXPECT_EQ(found, (std::map<std::string, Change>{{"/srv/3/1/file-13", Change::content},
                                                    {"/srv/4/0/file-9", Change::removed},
                                                    {"/srv/large", Change::metadata},
                                                    {"/srv/zz", Change::added}}));
}

TEST_F(BackUp, dumps_one_item_and_refuses_folders) {
    const BackupReport report = back_up();
    const auto repository = world_.open();
    std::string out;
    dump(*repository, report.snapshot, "/srv/sparse", [&](ByteView bytes) { out += as_text(bytes); });
    EXPECT_EQ(out, contents_of(tree_).at("/srv/sparse"));
    EXPECT_THROW(dump(*repository, report.snapshot, "/srv", [](ByteView) {}), Error);
    EXPECT_THROW(dump(*repository, report.snapshot, "", [](ByteView) {}), Error);
}

TEST_F(BackUp, damaged_packs_cost_only_the_items_in_them) {
    const BackupReport report = back_up();
    std::string largest;
    std::uint64_t bytes = 0;
    world_.store.list("data/", [&](const ObjectInfo& object) {
        if (object.bytes > bytes) std::tie(largest, bytes) = std::pair(object.name, object.bytes);
    });
    Bytes damaged = *world_.store.read(largest);
    damaged[damaged.size() / 2] ^= 1;
    world_.store.overwrite(largest, damaged);
    const auto repository = world_.open();
    MemoryTarget target;
    Progress progress;
    const RestoreReport restored = restore(*repository, {report.snapshot.id, {}, {}, {}}, target, progress);
    ASSERT_FALSE(restored.damaged.empty());
    auto expected = contents_of(tree_);
    for (const Finding& lost : restored.damaged) expected.erase(lost.path);
    EXPECT_EQ(target.files, expected);
}

TEST_F(BackUp, a_lost_state_costs_a_full_read_and_no_error) {
    back_up();
    for (const std::string& name : world_.store.names("state/")) world_.store.remove(name);
    std::uint64_t opened = 0;
    const BackupReport second = back_up({}, &opened);
    EXPECT_EQ(opened, tree_.size());
    EXPECT_EQ(restored(second.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, a_further_name_of_a_file_is_read_once_and_only_while_the_file_is_the_same) {
    tree_.erase("/srv/large");
    tree_["/srv/a"] = {.bytes = "shared", .hard_link = 7};
    tree_["/srv/b"] = tree_["/srv/c"] = tree_["/srv/a"];
    std::uint64_t opened = 0;
    BackupReport report = back_up({}, &opened);
    EXPECT_EQ(opened, tree_.size() - 2);
    EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
    EXPECT_EQ(links_of(report.snapshot),
              (std::map<std::string, std::uint64_t>{{"/srv/a", 7}, {"/srv/b", 7}, {"/srv/c", 7}}));
    // It changes after its first name was seen; once that was new, once it was known.
    for (const bool first_is_known : {false, true}) {
        MemoryTree before = tree_;
        tree_["/srv/b"] = tree_["/srv/c"] = {.bytes = "changed meanwhile", .version = 2, .hard_link = 7};
        if (!first_is_known) tree_["/srv/a"].version = 3;
        report = back_up();
        EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
        EXPECT_EQ(links_of(report.snapshot), (std::map<std::string, std::uint64_t>{{"/srv/a", 7}}));
        tree_["/srv/a"] = tree_["/srv/b"];
        report = back_up();
        EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
        EXPECT_EQ(links_of(report.snapshot).size(), 3U);
        EXPECT_EQ(back_up({}, &opened).snapshot.counts.unchanged, report.snapshot.items);
        EXPECT_EQ(opened, 0U);
        tree_ = before;
        back_up();
    }
}

TEST_F(BackUp, what_got_the_number_of_a_file_that_went_is_a_file_of_its_own) {
    tree_.erase("/srv/large");
    tree_["/srv/a"] = {.bytes = "gone by now", .hard_link = 7};
    tree_["/srv/b"] = {.bytes = "took its number", .version = 4, .hard_link = 7};
    const BackupReport report = back_up();
    EXPECT_TRUE(report.findings.empty());
    EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
    EXPECT_EQ(links_of(report.snapshot), (std::map<std::string, std::uint64_t>{{"/srv/a", 7}}));
}

// Everything is written but the notes.
class NoNotes final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    Created create(std::string_view name, ByteView bytes) override {
        if (name.starts_with("notes/")) throw Error{Code::unreachable, "the store does not answer"};
        return StoreDecorator::create(name, bytes);
    }
};

TEST_F(BackUp, what_fails_after_the_commit_does_not_fail_the_backup) {
    tree_.erase("/srv/large");
    NoNotes store(world_.store);
    const auto repository = world_.open_through(store);
    MemorySource source(tree_);
    Progress progress;
    const BackupReport report = engine::back_up(source, *repository, {}, progress);
    EXPECT_FALSE(report.snapshot.id.is_zero());
    EXPECT_TRUE(world_.store.names("notes/").empty());
    EXPECT_TRUE(world_.sim.log.contains("is committed"));
    EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
}

TEST_F(BackUp, says_where_it_left_something_out) {
    tree_.erase("/srv/large");
    EXPECT_TRUE(back_up().snapshot.left_out.empty());
    tree_["/srv/3/1/file-13"].is_unreadable = true;
    tree_["/srv/3/1/file-13"].version = 2;
    for (int i = 0; i < 2; ++i) {
        const repo::Snapshot snapshot = back_up().snapshot;
        EXPECT_EQ(snapshot.left_out, std::vector<std::string>{"/srv/3/1/file-13"});
        const auto repository = world_.open();
        EXPECT_EQ(repository->snapshots().back().left_out, snapshot.left_out);
        EXPECT_TRUE(is_left_out(snapshot, "/srv/3/1/file-13/below"));
        EXPECT_FALSE(is_left_out(snapshot, "/srv/3/1/file-130"));
        EXPECT_FALSE(is_left_out(snapshot, "/srv/3/1"));
    }
}

TEST(LeftOut, is_shortened_to_folders_when_there_is_much_of_it) {
    std::vector<Finding> findings;
    for (int i = 0; i < 1000; ++i)
        findings.push_back({fmt::format("/srv/data/{}/deep/{}", i % 20, i), Finding::Kind::unreadable, ""});
    findings.push_back({"/etc/shadow", Finding::Kind::unreadable, ""});
    findings.push_back({"/etc/changed", Finding::Kind::changed, ""});
    findings.push_back({"shop/public/orders", Finding::Kind::unreadable, ""});
    repo::Snapshot snapshot;
    snapshot.left_out = places_left_out(findings, {"/var/large"});
    EXPECT_EQ(snapshot.left_out.size(), 22U);
    EXPECT_TRUE(is_left_out(snapshot, "/srv/data/7/deep/1"));
    EXPECT_FALSE(is_left_out(snapshot, "/srv/data/7/other"));
    EXPECT_TRUE(is_left_out(snapshot, "/etc/shadow"));
    EXPECT_TRUE(is_left_out(snapshot, "/var/large"));
    EXPECT_FALSE(is_left_out(snapshot, "/etc/changed"));
    const std::string long_name(200, 'n');
    findings.clear();
    for (int i = 0; i < 100; ++i)
        findings.push_back({fmt::format("/{}{}/{}", long_name, i, i), Finding::Kind::vanished, ""});
    EXPECT_EQ(places_left_out(findings, {}), std::vector<std::string>{"/"});
}

TEST_F(BackUp, a_part_of_the_state_that_is_lost_costs_reading_what_it_stands_for) {
    tree_.erase("/srv/large");
    for (int folder = 0; folder < 300; ++folder)
        for (int i = 0; i < 20; ++i) tree_[fmt::format("/many/{}/{}", folder, i)] = {fmt::format("{} {}", folder, i)};
    const BackupReport first = back_up();
    const std::vector<std::string> older = world_.store.names("state/");
    tree_["/many/150/7"] = {"changed", 2};
    back_up();
    ASSERT_GT(world_.store.names("state/").size(), older.size());
    const MemoryStore::Objects whole = world_.store.objects();
    const auto lose = [&](const std::string& name) { world_.store.remove(name); };
    const auto damage = [&](const std::string& name) {
        for (std::size_t at = 0; at < world_.store.find(name)->bytes; at += 1000) world_.flip(name, at);
    };
    for (const std::function<void(const std::string&)>& harm :
         {std::function<void(const std::string&)>(lose), {damage}}) {
        for (const std::string& name : older) harm(name);
        world_.sim.log.clear();
        std::uint64_t opened = 0;
        const BackupReport third = back_up({}, &opened);
        EXPECT_TRUE(third.findings.empty());
        EXPECT_GT(opened, 1000U);
        EXPECT_LT(opened, tree_.size()) << "what is in the newer state is believed";
        EXPECT_TRUE(world_.sim.log.contains("part of the state"));
        EXPECT_EQ(restored(third.snapshot.id), contents_of(tree_));
        EXPECT_EQ(third.snapshot.items, first.snapshot.items);
        world_.store.set_objects(whole);
    }
}

TEST_F(BackUp, what_a_lost_part_of_the_index_named_is_stored_again) {
    tree_.erase("/srv/large");
    back_up();
    const std::vector<std::string> older = world_.store.names("index/");
    tree_["/srv/new"] = {"new"};
    back_up();
    for (const std::string& name : older) world_.store.remove(name);
    EXPECT_EQ(restored(back_up().snapshot.id), contents_of(tree_));
}

// One item that never ends by itself; somebody asks to stop while it is read.
class EndlessSource final : public Source {
public:
    explicit EndlessSource(Stop& stop) : stop_(stop) {}
    std::string name() const override { return "endless"; }
    std::string kind() const override { return "files"; }
    std::vector<std::string> describe() const override { return {}; }
    std::unique_ptr<Capture> begin(const CaptureRequest&) override { return std::make_unique<EndlessCapture>(*this); }
    std::atomic<int> reads{0};

private:
    static constexpr int stop_at = 3, reads_max = 50;
    class Data final : public ItemData {
    public:
        explicit Data(EndlessSource& source) : source_(source) {}
        Piece read(MutableByteView into) override {
            if (++source_.reads == stop_at) source_.stop_.request(SIGINT);
            if (source_.reads == reads_max) return {};
            std::ranges::fill(into, static_cast<std::uint8_t>(source_.reads));
            return {into.size(), 0};
        }

    private:
        EndlessSource& source_;
    };
    class EndlessCapture final : public Capture {
    public:
        explicit EndlessCapture(EndlessSource& source) : source_(source) {}
        bool next(Batch& batch) override {
            if (std::exchange(ended_, true)) return false;
            Batch::Entry entry;
            entry.item.path = "/endless";
            entry.item.kind = ItemKind::file;
            entry.expected_bytes = 100'000'000;
            batch = {"/", {entry}, nullptr};
            return true;
        }
        std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }
        Opened open(const Batch&, const Batch::Entry&) override {
            return {std::make_unique<Data>(source_), std::nullopt};
        }
        CaptureSummary finish() override { return {}; }

    private:
        EndlessSource& source_;
        bool ended_ = false;
    };
    Stop& stop_;
};

TEST_F(BackUp, what_comes_before_its_turn_is_read_once_and_stored_in_its_place) {
    const auto repository = world_.open();
    MemorySource source(tree_);
    source.ahead = {"/srv/large", "/srv/empty", "/srv/0/0/file-0", "/srv/4/2/file-14", "/srv/sparse"};
    Progress progress;
    const BackupReport report = engine::back_up(source, *repository, {}, progress);
    EXPECT_EQ(source.opened, tree_.size());
    EXPECT_EQ(report.snapshot.counts.added, report.snapshot.items);
    EXPECT_EQ(restored(report.snapshot.id), contents_of(tree_));
    std::uint64_t opened = 0;
    EXPECT_EQ(back_up({}, &opened).snapshot.root, report.snapshot.root);
    EXPECT_EQ(opened, 0);
}

TEST_F(BackUp, what_came_before_its_turn_must_come_again) {
    const auto repository = world_.open();
    MemorySource source(tree_);
    source.ahead = {"/srv/large"};
    source.forgets_them = true;
    Progress progress;
    EXPECT_THROW(engine::back_up(source, *repository, {}, progress), Error);
    EXPECT_TRUE(world_.open()->snapshots().empty());
}

// What a restore takes of packs of contents.
class CountedReads final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        auto out = inner().read_range(name, offset, bytes);
        if (out && name.starts_with("data/")) bytes_read += out->size();
        return out;
    }
    std::atomic<std::uint64_t> bytes_read{0};
};

TEST_F(BackUp, items_that_share_a_chunk_are_restored_in_order_without_reading_it_for_each) {
    const BackupReport report = back_up();
    CountedReads store(world_.store);
    const auto repository = world_.open_through(store);
    MemoryTarget target;
    target.is_sequential = true;
    Progress progress;
    restore(*repository, {report.snapshot.id, {}, {}, {}}, target, progress);
    EXPECT_EQ(target.files, contents_of(tree_));
    EXPECT_LT(store.bytes_read, 2 * report.snapshot.bytes.stored);
}

// Gives large items before their turn, until it is full.
class AheadCapture final : public Capture {
public:
    explicit AheadCapture(std::size_t& given) : given_(given) {}
    bool next(Batch& batch) override {
        if (given_ == batches_max) return false;
        Batch::Entry entry;
        entry.item.path = fmt::format("/{}", given_++);
        entry.item.kind = ItemKind::file;
        entry.expected_bytes = item_bytes;
        batch = {"/", {entry}, nullptr, true};
        return true;
    }
    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }
    Opened open(const Batch&, const Batch::Entry& entry) override {
        return {std::make_unique<Data>(std::stoull(entry.item.path.substr(1)) + 1), std::nullopt};
    }
    CaptureSummary finish() override { return {}; }

    static constexpr std::size_t batches_max = 200;

private:
    static constexpr std::size_t item_bytes = 4'000'000;
    class Data final : public ItemData {
    public:
        explicit Data(std::uint64_t seed) : random_(seed) {}
        Piece read(MutableByteView into) override {
            const std::size_t some = std::min(into.size(), left_);
            for (std::size_t at = 0; at + 8 <= some; at += 8) {
                const std::uint64_t number = random_();
                std::memcpy(into.data() + at, &number, 8);
            }
            left_ -= some;
            return {some, 0};
        }

    private:
        std::mt19937_64 random_;
        std::size_t left_ = item_bytes;
    };
    std::size_t& given_;
};

class AheadSource final : public Source {
public:
    std::string name() const override { return "ahead"; }
    std::string kind() const override { return "files"; }
    std::vector<std::string> describe() const override { return {}; }
    std::unique_ptr<Capture> begin(const CaptureRequest&) override { return std::make_unique<AheadCapture>(given); }
    std::size_t given = 0;
};

class FullStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    Created create(std::string_view name, ByteView bytes) override {
        if (name.starts_with("data/")) throw Error{Code::no_space, "the store is full"};
        return inner().create(name, bytes);
    }
};

TEST_F(BackUp, a_store_that_is_full_is_told_while_items_still_come_before_their_turn) {
    FullStore store(world_.store);
    const auto repository = world_.open_through(store);
    AheadSource source;
    Progress progress;
    try {
        engine::back_up(source, *repository, {}, progress);
        FAIL() << "it went on to the end";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::no_space) << error.message();
    }
    EXPECT_LT(source.given, AheadCapture::batches_max);
}

TEST_F(BackUp, stops_in_the_middle_of_an_item) {
    const auto repository = world_.open();
    EndlessSource source(world_.sim.stop);
    Progress progress;
    try {
        engine::back_up(source, *repository, {}, progress);
        FAIL() << "it went on to the end";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::cancelled);
    }
    EXPECT_EQ(source.reads, 3);
    EXPECT_TRUE(world_.open()->snapshots().empty());
}

}  // namespace
}  // namespace holdfast::engine
