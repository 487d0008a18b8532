// Golden repositories of every released format open for ever: each one is unpacked, opened by all of its keys, restored
// and compared, checked to the last byte, and goes on to be used.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/text.h"
#include "engine/back_up.h"
#include "engine/facts.h"
#include "engine/maintain.h"
#include "engine/restore.h"
#include "golden.h"
#include "source/folder_rebuild.h"
#include "stores/local/local_store.h"
#include "testing/memory_source.h"
#include "testing/sim_world.h"
#include "testing/small_repository.h"

namespace holdfast::golden {
namespace {

struct Expected {
    repo::SnapshotId id;
    std::string source;
    std::string root;  // empty: all
    std::vector<std::string> lines;
};
struct Manifest {
    std::vector<Expected> snapshots;
    std::set<repo::SnapshotId> forgotten;
};

Manifest read_manifest(const std::string& path) {
    Manifest out;
    const Bytes bytes = read_file(path);
    for (const std::string& line : split(as_text(bytes), '\n')) {
        const std::vector<std::string> words = split(line, ' ');
        if (words[0] == "snapshot")
            out.snapshots.push_back(
                {*repo::SnapshotId::from_hex_text(words.at(1)), words.at(2), words.at(3) == "-" ? "" : words[3], {}});
        else if (words[0] == "forgotten")
            out.forgotten.insert(*repo::SnapshotId::from_hex_text(words.at(1)));
        else if (!line.empty())
            out.snapshots.back().lines.push_back(line);
    }
    return out;
}

class Golden : public testing::TestWithParam<std::string> {
protected:
    Golden() { unpack_folder(folder_ + "/repository.tar", place_); }

    std::unique_ptr<repo::Repository> open(repo::Unlock::Way way = repo::Unlock::Way::keyfile) {
        const Bytes secret = read_file(folder_ + (way == repo::Unlock::Way::keyfile ? "/key" : "/passphrase"));
        return repo::Repository::open(std::make_unique<LocalStore>(place_, LocalStore::Open::existing),
                                      {way, Secret(secret)}, {temporary_.path() + "/client"}, sim_.world());
    }
    std::vector<std::string> restored(repo::Repository& repository, const Expected& expected) {
        const TemporaryFolder target;
        RebuildRequest request{.world = sim_.world(),
                               .target = target.path() + "/t",
                               .snapshot_id = expected.id.hex(),
                               .strip = expected.root};
        engine::RestorePlan plan;
        plan.snapshot = expected.id;
        plan.below = expected.root;
        engine::Progress progress;
        const auto rebuild = rebuild_into_folder(request);
        const engine::RestoreReport report = engine::restore(repository, plan, *rebuild, progress);
        EXPECT_TRUE(report.damaged.empty());
        return describe_folder(request.target);
    }

    const std::string folder_ = std::string(GOLDEN_FOLDER) + "/" + GetParam();
    const Manifest manifest_ = read_manifest(folder_ + "/manifest");
    const TemporaryFolder temporary_;
    const std::string place_ = temporary_.path() + "/repository";
    SimWorld sim_{1};
};

TEST_P(Golden, opens_by_passphrase_and_by_key_file) {
    for (const auto way : {repo::Unlock::Way::passphrase, repo::Unlock::Way::keyfile})
        EXPECT_EQ(open(way)->snapshots().size(), manifest_.snapshots.size());
}

TEST_P(Golden, gives_back_every_snapshot_and_its_facts_and_none_that_was_forgotten) {
    const auto repository = open();
    ASSERT_EQ(repository->snapshots().size(), manifest_.snapshots.size());
    for (const repo::Snapshot& snapshot : repository->snapshots())
        EXPECT_FALSE(manifest_.forgotten.contains(snapshot.id));
    for (const Expected& expected : manifest_.snapshots) {
        std::vector<std::string> found = restored(*repository, expected);
        for (const repo::Snapshot& snapshot : repository->snapshots()) {
            if (snapshot.id != expected.id) continue;
            EXPECT_EQ(snapshot.source, expected.source);
            if (const auto facts = engine::read_facts(*repository, snapshot))
                for (const std::string& line : describe_facts(*facts)) found.push_back(line);
        }
        EXPECT_EQ(found, expected.lines) << expected.source;
    }
}

TEST_P(Golden, has_no_damage_to_the_last_byte) {
    engine::Progress progress;
    const engine::CheckReport report =
        engine::check(*open(), {.read_data = true, .share = {}, .bytes_max = {}}, progress);
    for (const engine::Damage& damage : report.errors) ADD_FAILURE() << damage.object << ": " << damage.effect;
    EXPECT_GT(report.packs, 3U);
}

TEST_P(Golden, goes_on_to_be_used) {
    const testing_support::MemoryTree tree{{"/new", {std::string(100'000, 'n')}}};
    testing_support::MemorySource source(tree, "golden-facts");
    engine::Progress progress;
    repo::SnapshotId id;
    {
        const auto repository = open();
        id = engine::back_up(source, *repository, {{}, "golden-host", false, false}, progress).snapshot.id;
        engine::forget(
            *repository,
            {.ids = {manifest_.snapshots.front().id}, .keep = {}, .policies = {}, .source = {}, .allow_last = false});
        engine::prune(*repository, {}, progress);
    }
    const auto repository = open();
    testing_support::MemoryTarget target;
    engine::restore(*repository, {id, {}, {}, {}}, target, progress);
    EXPECT_EQ(target.files, contents_of(tree));
    EXPECT_EQ(restored(*repository, manifest_.snapshots[1]), manifest_.snapshots[1].lines);
    EXPECT_TRUE(engine::check(*repository, {.read_data = true, .share = {}, .bytes_max = {}}, progress).errors.empty());
}

// Key slots since version 2 vouch for the configuration, so that a lesser key is believed on a machine that knows nothing yet.
class GoldenSlots : public testing::TestWithParam<std::string> {
protected:
    GoldenSlots() { unpack_folder(folder_ + "/repository.tar", place_); }
    std::unique_ptr<repo::Repository> open(const std::string& key) {
        return repo::Repository::open(std::make_unique<LocalStore>(place_, LocalStore::Open::existing),
                                      {repo::Unlock::Way::keyfile, Secret(read_file(folder_ + "/" + key))},
                                      {temporary_.path() + "/client"}, sim_.world());
    }
    const std::string folder_ = std::string(GOLDEN_FOLDER) + "/" + GetParam();
    const TemporaryFolder temporary_;
    const std::string place_ = temporary_.path() + "/repository";
    SimWorld sim_{1};
};

TEST_P(GoldenSlots, open_by_a_readers_key_alone) {
    const auto repository = open("reader-key");
    EXPECT_EQ(repository->keys().own().role, repo::Role::reader);
    EXPECT_EQ(repository->snapshots().size(), read_manifest(folder_ + "/manifest").snapshots.size());
    engine::Progress progress;
    EXPECT_TRUE(engine::check(*repository, {.read_data = true, .share = {}, .bytes_max = {}}, progress).errors.empty());
}
class GoldenDomains : public GoldenSlots {};
INSTANTIATE_TEST_SUITE_P(SinceVersion2, GoldenSlots, testing::Values("format-1-slots-2", "format-1-slots-3"));

// A writer's slot of version 3 has the keys of its domain only, and deduplicates within it.
TEST_P(GoldenDomains, are_gone_on_in_by_a_writers_key) {
    const auto repository = open("writer-key");
    EXPECT_EQ(repository->keys().own().domain, "apart");
    EXPECT_FALSE(repository->keys().secrets().root_secret);
    const testing_support::MemoryTree tree{{"/apart", {testing_support::noise(1, 60'000)}}};
    testing_support::MemorySource source(tree, "golden-again");
    engine::Progress progress;
    EXPECT_LT(engine::back_up(source, *repository, {{}, "golden-host"}, progress).snapshot.bytes.added, 10'000U);
}
INSTANTIATE_TEST_SUITE_P(SinceVersion3, GoldenDomains, testing::Values("format-1-slots-3"));

std::vector<std::string> formats() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(GOLDEN_FOLDER))
        if (entry.is_directory()) out.push_back(entry.path().filename());
    return out;
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden, testing::ValuesIn(formats()), [](const auto& format) {
    std::string name = format.param;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace holdfast::golden
