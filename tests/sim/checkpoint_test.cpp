// Opening from a checkpoint shows what reading everything shows, at a few requests, and cannot be used to hide or to forge.
#include "repo/checkpoint.h"
#include "base/file.h"
#include "filled_repository.h"
#include "repo/credential_file.h"
#include "repo/session.h"
#include "store/measure.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {
namespace {

using repo::Checkpoint;
using repo::Repository;

engine::PruneReport prune(Repository& repository) {
    engine::Progress progress;
    engine::PrunePlan plan;
    plan.checkpoint_entries = 8;
    return engine::prune(repository, plan, progress);
}

MemoryTree tree(std::int64_t number) {
    return {{"/kept", {noise(1, 40'000)}}, {"/new", {noise(100 + static_cast<std::uint64_t>(number), 20'000), number}}};
}

class CheckpointOf : public testing::Test {
protected:
    // So many backups that a checkpoint is due and the index is worth merging.
    void SetUp() override {
        for (std::int64_t number = 0; number < 12; ++number) ids_.push_back(small_.back_up(tree(number)).id);
        small_.open()->forget({ids_[3], ids_[4]}, "test");
        prune(*small_.open());
        const auto names = small_.store.names("index/checkpoint-");
        ASSERT_EQ(names.size(), 1U);
        object_ = names[0];
    }
    std::string day() const { return object_.substr(std::string("index/checkpoint-").size()); }
    Checkpoint checkpoint() {
        return repo::decode_checkpoint(*small_.store.read(object_), small_.open()->keys(), day());
    }
    void replace(const Checkpoint& other) {
        const auto repository = small_.open();
        small_.store.overwrite(object_, repo::encode(other, repository->id(), repository->keys().secrets().signer));
    }
    std::vector<std::string> listed(Repository& repository) {
        std::vector<std::string> out;
        for (const repo::Snapshot& each : repository.snapshots())
            out.push_back(fmt::format("{} {} {}", each.id.hex(), each.received, each.tags.size()));
        return out;
    }
    void expect_all_restored(Repository& repository) {
        for (std::int64_t number = 0; number < 12; ++number)
            if (number != 3 && number != 4) {
                EXPECT_TRUE(restored(repository, ids_[static_cast<std::size_t>(number)]) == contents_of(tree(number)))
                    << number;
            }
    }

    FilledRepository small_{1, {.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}};
    std::vector<repo::SnapshotId> ids_;
    std::string object_;
};

TEST_F(CheckpointOf, shows_what_the_logs_show) {
    const auto from_checkpoint = small_.open();
    EXPECT_EQ(from_checkpoint->log().entries_read(), 0U);
    small_.store.remove(object_);
    const auto from_logs = small_.open();
    EXPECT_GT(from_logs->log().entries_read(), 30U);
    EXPECT_EQ(listed(*from_checkpoint), listed(*from_logs));
    EXPECT_EQ(from_checkpoint->snapshots().size(), 10U);
    EXPECT_TRUE(from_checkpoint->was_forgotten(ids_[3]));
    EXPECT_LT(from_checkpoint->index().fragments().size(), 5U);
    EXPECT_GT(from_logs->index().fragments().size(), 12U);
    expect_all_restored(*from_checkpoint);
    expect_all_restored(*from_logs);
}

TEST_F(CheckpointOf, is_found_sound_by_a_check) {
    EXPECT_EQ(all_of(read_all(*small_.open())), "");
    small_.back_up(tree(20));
    EXPECT_EQ(all_of(read_all(*small_.open())), "");
}

TEST_F(CheckpointOf, what_came_after_it_shows_too) {
    const repo::Snapshot later = small_.back_up(tree(21));
    const auto repository = small_.open();
    EXPECT_LE(repository->log().entries_read(), 4U);
    EXPECT_TRUE(restored(*repository, later.id) == contents_of(tree(21)));
    repository->forget({later.id}, "test");
    EXPECT_EQ(small_.open()->snapshots().size(), 10U);
}

// What a store showed once is not what everybody believes from then on.
TEST_F(CheckpointOf, keeps_no_note_that_was_read_wrongly) {
    const repo::Snapshot gone = small_.back_up(tree(20));
    for (std::int64_t number = 21; number < 25; ++number) small_.back_up(tree(number));
    small_.open()->forget({gone.id}, "test");
    small_.sim.clock.advance(24 * 3600 * one_second);
    FaultyStore lying(small_.store, small_.sim, {.flipped = 1, .prefix = "notes/"});
    const auto deceived = small_.open_through(lying, "");
    EXPECT_FALSE(deceived->was_forgotten(gone.id));
    prune(*deceived);
    ASSERT_EQ(small_.store.names("index/checkpoint-").size(), 2U);

    const auto repository = small_.open();
    EXPECT_EQ(repository->log().entries_read(), 0U);
    EXPECT_TRUE(repository->was_forgotten(gone.id));
    EXPECT_EQ(repository->snapshots().size(), 14U);
}

// What was in the packs that the collection before it deleted is stored again, not relied on.
TEST_F(CheckpointOf, its_readers_know_which_packs_are_gone) {
    const repo::Snapshot again = small_.back_up(tree(3), "another source");
    EXPECT_GT(again.bytes.stored, 15'000U);
    EXPECT_TRUE(restored(*small_.open(), again.id) == contents_of(tree(3)));
    EXPECT_EQ(all_of(read_all(*small_.open())), "");
}

TEST_F(CheckpointOf, a_day_has_one_and_an_old_one_counts_for_a_week) {
    for (std::int64_t number = 30; number < 36; ++number) small_.back_up(tree(number));
    prune(*small_.open());
    EXPECT_EQ(small_.store.names("index/checkpoint-").size(), 1U);
    small_.sim.clock.advance(24 * 3600 * one_second);
    prune(*small_.open());
    EXPECT_EQ(small_.store.names("index/checkpoint-").size(), 2U);
    EXPECT_EQ(small_.open()->log().entries_read(), 0U);
    small_.sim.clock.advance(8 * 24 * 3600 * one_second);
    EXPECT_GT(small_.open()->log().entries_read(), 30U);
    // A clock that is wrong finds none, and nothing else comes of it.
    small_.sim.clock.advance(-3650LL * 24 * 3600 * one_second);
    expect_all_restored(*small_.open());
}

TEST_F(CheckpointOf, that_is_damaged_is_passed_over_and_told_by_a_check) {
    const std::size_t size = small_.store.read(object_)->size();
    const MemoryStore::Objects whole = small_.store.objects();
    for (std::size_t at = 0; at < size; at += 131) {
        small_.flip(object_, at);
        const auto repository = small_.open();
        ASSERT_EQ(repository->snapshots().size(), 10U);
        ASSERT_GT(repository->log().entries_read(), 30U) << at;
        small_.store.set_objects(whole);
    }
    small_.flip(object_, size / 2);
    const engine::CheckReport report = check(*small_.open());
    ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
    EXPECT_EQ(report.errors[0].object, object_);
    EXPECT_TRUE(small_.sim.log.contains("the logs are read instead"));
}

TEST_F(CheckpointOf, of_another_day_is_not_believed) {
    small_.sim.clock.advance(24 * 3600 * one_second);
    const std::string tomorrow = repo::names::checkpoint("2000-01-02");
    small_.store.overwrite(tomorrow, *small_.store.read(object_));
    EXPECT_THROW(repo::decode_checkpoint(*small_.store.read(tomorrow), small_.open()->keys(), "2000-01-02"), Error);
}

TEST_F(CheckpointOf, by_a_stranger_is_not_believed) {
    const auto stranger = crypto::SigningKey::generate(small_.sim.random);
    small_.store.overwrite(object_, repo::encode(checkpoint(), small_.open()->id(), stranger));
    EXPECT_GT(small_.open()->log().entries_read(), 30U);
}

TEST_F(CheckpointOf, that_hides_or_invents_snapshots_is_told_by_a_check) {
    const Checkpoint honest = checkpoint();
    Checkpoint hiding = honest;
    hiding.log.snapshots.erase(hiding.log.snapshots.begin());
    replace(hiding);
    engine::CheckReport report = check(*small_.open());
    ASSERT_GE(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].object, object_);
    EXPECT_THAT(report.errors[0].effect + report.errors[0].kind, ::testing::HasSubstr("damaged"));

    Checkpoint moving = honest;
    ++moving.log.snapshots[0].slot;
    replace(moving);
    report = check(*small_.open());
    ASSERT_GE(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].object, object_);
}

// A machine that knows nothing yet, as a pod of a CronJob.
TEST(ColdStart, asks_little_however_long_the_history_and_however_many_the_chunks) {
    constexpr std::size_t chunks_each = 2'000;
    constexpr std::size_t parts = 40;
    const char* const said = std::getenv("HOLDFAST_SIM_SCALE");
    const std::size_t packs_each =
        said == nullptr ? 1 : std::strtoul(said, nullptr, 10);  // nightly: 1.6 million chunks
    FilledRepository small;
    for (std::int64_t number = 0; number < 60; ++number) small.back_up(tree(number));
    const auto writer = small.open();
    for (std::size_t part = 0; part < parts; ++part) {
        std::vector<repo::PackContents> packs;
        for (std::size_t number = 0; number < packs_each; ++number) {
            packs.push_back({{repo::PackKind::data, repo::PackId{small.sim.random.array<32>()}}, 1'000'000, {}});
            for (std::uint32_t i = 0; i < chunks_each; ++i)
                packs.back().places.push_back({repo::ChunkId{small.sim.random.array<32>()}, i * 100, 100});
        }
        repo::Session session(*writer, repo::Session::Mode::write);
        session.publish(repo::encode_fragment(writer->keys(), packs, small.sim.random));
        session.publish_and_close();
    }
    const auto cold = [&](repo::NotesFrom notes) {
        auto measured = std::make_unique<MeasuredStore>(std::make_unique<StoreDecorator>(small.store));
        MeasuredStore& store = *measured;
        const auto repository = Repository::open(std::move(measured), test_key(), {"", notes}, small.sim.world());
        EXPECT_EQ(repository->snapshots().size(), 60U);
        return store.traffic();
    };
    EXPECT_GT(cold(repo::NotesFrom::listing).requests(), 200U);
    {
        const auto repository = small.open();
        repo::keep_checkpoint(*repository, 1);
    }
    const StoreTraffic backup = cold(repo::NotesFrom::checkpoint);
    const StoreTraffic other = cold(repo::NotesFrom::listing);
    const std::uint64_t chunks = small.open()->index().chunks();
    EXPECT_GT(chunks, parts * packs_each * chunks_each);
    EXPECT_LE(backup.requests(), 20U);
    EXPECT_EQ(backup.list.requests, 1U) << "the key slots, and nothing else";
    EXPECT_EQ(other.requests(), backup.requests() + 1) << "the notes' listing";
    EXPECT_LE(backup.bytes_received(), chunks * 3);
    RecordProperty("requests", static_cast<int>(backup.requests()));
    RecordProperty("bytes", static_cast<int>(backup.bytes_received()));
}

// A fleet's repository has a slot for each machine.
TEST(ColdStart, a_machine_reads_no_slot_but_its_own) {
    FilledRepository small;
    small.back_up(tree(1));
    const auto unlock_of = [](int number) { return test_key(fmt::format("key of machine {:017}", number)); };
    std::vector<repo::SignerId> signers;
    {
        const auto full = small.open();
        for (int number = 0; number < 30; ++number)
            signers.push_back(
                full->add_key(unlock_of(number), {fmt::format("machine {}", number), repo::Role::writer}));
    }
    const TemporaryFolder folder;
    const auto open = [&](const repo::Unlock& unlock, const std::string& client_folder) {
        auto measured = std::make_unique<MeasuredStore>(std::make_unique<StoreDecorator>(small.store));
        MeasuredStore& store = *measured;
        const auto repository = Repository::open(std::move(measured), unlock, {client_folder}, small.sim.world());
        return std::pair(repository->keys().own_id(), store.traffic().requests());
    };
    const repo::Config config = small.open()->keys().config();
    const auto file = [&](int number) {
        return *repo::read_credential_file(
            repo::credential_file(config, signers[7], unlock_of(number).secret).reveal());
    };
    const auto [plain, by_listing] = open(unlock_of(7), "");
    EXPECT_EQ(plain, signers[7]);
    const auto [known, by_name] = open(file(7), "");
    EXPECT_EQ(known, signers[7]);
    EXPECT_GE(by_listing, by_name + 30);
    // What a file says wrongly, or a machine remembers of another key, is only a hint.
    EXPECT_EQ(open(file(9), "").first, signers[9]);
    EXPECT_GE(open(unlock_of(3), folder.path()).second, by_listing);
    EXPECT_EQ(open(unlock_of(3), folder.path()).second, by_name);
    EXPECT_EQ(open(unlock_of(4), folder.path()).first, signers[4]);
    small.open()->remove_key(signers[4].hex());
    EXPECT_THROW(open(unlock_of(4), folder.path()), Error);
    EXPECT_EQ(open(unlock_of(3), folder.path()).first, signers[3]);
}

// What waits for a verdict may be spared yet.
TEST(Checkpoint, is_not_made_while_a_collection_waits) {
    FilledRepository small;
    std::vector<repo::SnapshotId> ids;
    for (std::int64_t number = 0; number < 12; ++number) ids.push_back(small.back_up(tree(number)).id);
    const auto writer = small.open();
    auto open = std::make_unique<repo::Session>(*writer, repo::Session::Mode::write);
    small.open()->forget({ids[3]}, "test");
    EXPECT_FALSE(prune(*small.open()).waiting_for.empty());
    EXPECT_TRUE(small.store.names("index/checkpoint-").empty());
    open.reset();
    EXPECT_TRUE(prune(*small.open()).waiting_for.empty());
    EXPECT_EQ(small.store.names("index/checkpoint-").size(), 1U);
}

}  // namespace
}  // namespace holdfast::testing_support
