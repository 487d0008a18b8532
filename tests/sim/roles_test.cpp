// What a thief of one key, or of the bucket alone, cannot do.
#include "engine/attest.h"
#include "filled_repository.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "repo/session.h"

namespace holdfast::testing_support {
namespace {

using repo::Repository;
using repo::Role;

repo::Unlock key_of(const std::string& label) { return test_key(label + std::string(32, '.')); }

class RolesOf : public testing::Test {
protected:
    void SetUp() override {
        const auto full = small_.open();
        full->add_key(key_of("honest"), {"honest", Role::writer});
        full->add_key(key_of("stolen"), {"stolen", Role::writer, {"web"}});
        full->add_key(key_of("reader"), {"reader", Role::reader});
        full->add_key(key_of("maintainer"), {"maintainer", Role::maintainer});
    }
    std::unique_ptr<Repository> open_as(const std::string& label) {
        return Repository::open(std::make_unique<StoreDecorator>(small_.store), key_of(label), {}, small_.sim.world());
    }

    FilledRepository small_;
    const MemoryTree tree_{{"/libssl", {noise(1, 60'000)}}};
};

TEST_F(RolesOf, a_stolen_writer_cannot_make_others_leave_out_what_they_have) {
    {
        const auto evil = open_as("stolen");
        const repo::ChunkId id = repo::ChunkId{evil->keys().chunk_id()(as_bytes(tree_.at("/libssl").bytes))};
        repo::PackContents pack{
            {repo::PackKind::data, repo::PackId{small_.sim.random.array<32>()}}, 100, {{id, 0, 100}}};
        small_.store.create(pack.pack.object(), as_bytes(noise(9, 100)));
        repo::Session session(*evil, repo::Session::Mode::write);
        session.publish(repo::encode_fragment(evil->keys(), std::vector{pack}, small_.sim.random));
        session.publish_and_close();
        EXPECT_TRUE(evil->index().knows(id)) << "his own lies he may believe";
    }
    engine::Progress progress;
    const engine::AttestReport report = engine::attest(*open_as("reader"), progress);
    EXPECT_EQ(report.attested, 0U);
    ASSERT_EQ(report.refused.size(), 1U);
    const repo::Snapshot whole = small_.back_up(*open_as("honest"), tree_, "db");
    EXPECT_GT(whole.bytes.added, 60'000U);
    EXPECT_TRUE(restored(*open_as("reader"), whole.id) == contents_of(tree_));
}

TEST_F(RolesOf, a_stolen_writer_cannot_forget_or_release) {
    const repo::Snapshot kept = small_.back_up(*open_as("honest"), tree_, "db");
    small_.open()->notes().append(kept.id, repo::NoteKind::hold, 1, "audit");
    const auto thief = open_as("stolen");
    EXPECT_THROW(thief->forget({kept.id}, "gone"), Error);
    // Whoever has the key needs not our program.
    thief->notes().append(kept.id, repo::NoteKind::forgotten, 1, "gone");
    thief->notes().append(kept.id, repo::NoteKind::release, 1, "audit");
    thief->notes().append(kept.id, repo::NoteKind::received, 1, "");
    const auto full = small_.open();
    ASSERT_EQ(full->snapshots().size(), 1U);
    EXPECT_EQ(full->snapshots()[0].holds, std::vector<std::string>{"audit"});
    EXPECT_GT(full->snapshots()[0].received, 1);
    EXPECT_EQ(all_of(check(*full)), "");
}

TEST_F(RolesOf, a_writer_commits_for_its_own_sources_only) {
    EXPECT_THROW(small_.back_up(*open_as("stolen"), tree_, "db"), Error);
    const auto thief = open_as("stolen");
    {
        repo::Session session(*thief, repo::Session::Mode::write);
        repo::Snapshot forged;
        forged.source = "db";
        session.commit(std::move(forged));
    }
    const auto full = small_.open();
    EXPECT_TRUE(full->snapshots().empty());
    EXPECT_TRUE(small_.sim.log.contains("may not back up db"));
    EXPECT_EQ(small_.back_up(*open_as("stolen"), tree_, "web").source, "web");
    EXPECT_EQ(small_.open()->snapshots().size(), 1U);
}

TEST_F(RolesOf, readers_and_maintainers_cannot_commit) {
    for (const std::string role : {"reader", "maintainer"}) {
        EXPECT_THROW(small_.back_up(*open_as(role), tree_, "web"), Error);
        const MemoryStore::Objects before = small_.store.objects();
        const auto forger = open_as(role);
        repo::Session session(*forger, repo::Session::Mode::write);
        repo::Snapshot forged;
        forged.source = "web";
        try {
            session.commit(std::move(forged));
            ADD_FAILURE() << role;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::denied);
        }
        small_.store.set_objects(before);
    }
}

TEST_F(RolesOf, only_a_reader_opens_contents) {
    const repo::Snapshot snapshot = small_.back_up(*open_as("honest"), tree_, "db");
    for (const std::string role : {"honest", "maintainer"}) {
        const auto repository = open_as(role);
        ASSERT_EQ(repository->snapshots().size(), 1U) << role;
        EXPECT_TRUE(repository->snapshots()[0].describes.empty());
        EXPECT_THROW(restored(*repository, snapshot.id), Error) << role;
    }
    EXPECT_TRUE(open_as("stolen")->snapshots().empty());
    EXPECT_TRUE(restored(*open_as("reader"), snapshot.id) == contents_of(tree_));
}

// The bucket alone, or with the public keys in it, makes nothing that counts.
TEST_F(RolesOf, strangers_are_refused) {
    const repo::Snapshot snapshot = small_.back_up(*open_as("honest"), tree_, "db");
    const auto stranger = crypto::SigningKey::generate(small_.sim.random);
    const auto full = small_.open();
    const MemoryStore::Objects before = small_.store.objects();
    Bytes payload;
    ByteWriter writer(payload);
    writer.raw(snapshot.id.view());
    writer.u8(static_cast<std::uint8_t>(repo::NoteKind::forgotten));
    writer.zigzag(1);
    writer.string("gone");
    writer.varint(1);
    small_.store.create(repo::names::note(snapshot.id, 0), Bytes{});
    small_.store.overwrite(repo::names::note(snapshot.id, 0),
                           repo::sign(repo::SignedKind::note, full->id(), stranger, payload));
    ASSERT_EQ(small_.open()->snapshots().size(), 1U) << "forgotten by a stranger";
    EXPECT_TRUE(small_.sim.log.contains("says nothing"));
    small_.store.set_objects(before);
    const repo::Lane lane = full->log().lanes().rbegin()->second;
    small_.store.overwrite(repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next),
                           repo::sign(repo::SignedKind::log_entry, full->id(), stranger, payload));
    EXPECT_EQ(small_.open()->snapshots().size(), 1U);
    EXPECT_TRUE(small_.sim.log.contains("counts up to there only"));
}

}  // namespace
}  // namespace holdfast::testing_support
