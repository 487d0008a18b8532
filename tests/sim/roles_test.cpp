// What a thief of one key, or of the bucket alone, cannot do.
#include <filesystem>

#include "base/file.h"
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
    std::unique_ptr<Repository> open_as(const std::string& label, const std::string& client_folder = "") {
        return Repository::open(std::make_unique<StoreDecorator>(small_.store), key_of(label), {client_folder},
                                small_.sim.world());
    }

    FilledRepository small_;
    const MemoryTree tree_{{"/libssl", {noise(1, 60'000)}}};
};

TEST_F(RolesOf, a_stolen_writer_cannot_make_others_leave_out_what_they_have) {
    {
        const auto evil = open_as("stolen");
        const repo::ChunkId id = repo::ChunkId{evil->keys().domain().chunk_id(as_bytes(tree_.at("/libssl").bytes))};
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

// What a key of one domain has, of others.
class DomainsOf : public RolesOf {
protected:
    void SetUp() override {
        RolesOf::SetUp();
        const auto full = small_.open();
        full->add_key(key_of("payroll"), {"payroll", Role::writer, {}, "payroll"});
        full->add_key(key_of("payroll too"), {"payroll too", Role::writer, {}, "payroll"});
    }
    void attest() {
        engine::Progress progress;
        EXPECT_TRUE(engine::attest(*open_as("reader"), progress).refused.empty());
    }
    static Code code_of(const std::function<void()>& work) {
        try {
            work();
        } catch (const Error& error) {
            return error.code();
        }
        return Code::internal;
    }
    repo::Snapshot back_up_in(const std::string& domain, Repository& repository) {
        MemorySource source(tree_, "chosen");
        engine::Progress progress;
        return engine::back_up(source, repository, {{}, "host", false, true, {}, domain}, progress).snapshot;
    }
};

TEST_F(DomainsOf, equal_contents_are_stored_once_in_a_domain_and_again_in_another) {
    small_.back_up(*open_as("honest"), tree_, "web");
    attest();
    EXPECT_LT(small_.back_up(*open_as("stolen"), tree_, "web").bytes.added, 10'000U);
    const repo::Snapshot apart = small_.back_up(*open_as("payroll"), tree_, "pay");
    EXPECT_GT(apart.bytes.added, 60'000U);
    attest();
    const repo::Snapshot again = small_.back_up(*open_as("payroll too"), tree_, "pay too");
    EXPECT_LT(again.bytes.added, 10'000U);
    for (const repo::SnapshotId& id : {apart.id, again.id}) {
        EXPECT_TRUE(restored(*open_as("reader"), id) == contents_of(tree_));
        EXPECT_TRUE(restored(*small_.open(), id) == contents_of(tree_));
    }
    engine::Progress progress;
    EXPECT_TRUE(
        engine::check(*open_as("reader"), {.read_data = true, .share = {}, .bytes_max = {}}, progress).errors.empty());
}

TEST_F(DomainsOf, a_writer_cannot_tell_whether_a_content_is_in_another) {
    small_.back_up(*open_as("payroll"), tree_, "pay");
    attest();
    const auto full = small_.open();
    const auto thief = open_as("stolen");
    const ByteView guessed = as_bytes(tree_.at("/libssl").bytes);
    const auto id_of = [&](const repo::Domain& domain) { return repo::ChunkId{domain.chunk_id(guessed)}; };
    full->write_in("payroll");
    EXPECT_TRUE(thief->index().find_all(std::vector{id_of(full->keys().domain())}).front().size() == 1)
        << "that the chunk is there everybody sees";
    EXPECT_NE(id_of(thief->keys().domain()), id_of(full->keys().domain()));
    EXPECT_TRUE(thief->index().find_all(std::vector{id_of(thief->keys().domain())}).front().empty());
    for (const char* label : {"stolen", "payroll", "maintainer"})
        EXPECT_FALSE(open_as(label)->keys().secrets().root_secret) << label;
    EXPECT_FALSE(open_as("maintainer")->keys().secrets().domain);
    EXPECT_EQ(code_of([&] { thief->write_in("payroll"); }), Code::denied);
}

TEST_F(DomainsOf, a_full_key_chooses_among_those_that_keys_were_made_of) {
    const auto full = small_.open();
    EXPECT_GT(back_up_in("", *full).bytes.added, 60'000U);
    const repo::Snapshot apart = back_up_in("payroll", *full);
    EXPECT_GT(apart.bytes.added, 60'000U);
    EXPECT_LT(back_up_in("", *full).bytes.added, 10'000U) << "the choice is of one backup";
    EXPECT_TRUE(restored(*open_as("reader"), apart.id) == contents_of(tree_));
    EXPECT_LT(small_.back_up(*open_as("payroll"), tree_, "pay").bytes.added, 10'000U) << "a full key is believed";
    EXPECT_EQ(code_of([&] { full->write_in("payrol"); }), Code::not_found);
    EXPECT_THROW(full->add_key(key_of("x"), {"x", Role::reader, {}, "payroll"}), Error);
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

// Packs, index and log of a true backup, of which only the signatures are another's.
TEST_F(RolesOf, a_backup_that_a_stranger_signed_counts_for_nothing) {
    small_.back_up(*open_as("honest"), tree_, "db");
    const repo::RepositoryId id = small_.open()->id();
    const MemoryStore::Objects before = small_.store.objects();
    small_.back_up(*open_as("honest"), {{"/libcrypto", {noise(2, 60'000)}}}, "db");
    const MemoryStore::Objects after = small_.store.objects();
    const auto stranger = crypto::SigningKey::generate(small_.sim.random);
    std::size_t signed_anew = 0;
    for (const std::string& name : small_.store.names("log/")) {
        if (before.contains(name)) continue;
        const auto entry = small_.store.read(name);
        const auto view = repo::parse_signed(*entry, repo::SignedKind::log_entry, name);
        small_.store.overwrite(name, repo::sign(repo::SignedKind::log_entry, id, stranger, view.payload));
        ++signed_anew;
    }
    EXPECT_GE(signed_anew, 3U) << "an index fragment, the snapshot, the end";
    EXPECT_EQ(small_.open()->snapshots().size(), 1U);
    EXPECT_TRUE(small_.sim.log.contains("counts up to there only"));
    EXPECT_EQ(open_as("honest")->snapshots().size(), 1U);
    small_.store.set_objects(after);
    EXPECT_EQ(small_.open()->snapshots().size(), 2U) << "with its own signatures it counts";
}

// Whoever may write to the bucket makes himself root.
class SwappedConfig : public RolesOf {
protected:
    // As the program once made them, without the key of the root whom their maker trusted.
    void make_slots_of_version_1() {
        const auto full = small_.open();
        for (const repo::SlotInfo& slot : repo::list_slots(small_.store, full->keys().config())) {
            if (slot.credential.role == Role::full) continue;
            const repo::Unlock key = key_of(slot.credential.label);
            const auto opened = open_as(slot.credential.label);
            const repo::Secrets& secrets = opened->keys().secrets();
            const auto salt = small_.sim.random.array<16>();
            Bytes plain;
            ByteWriter writer(plain);
            for (const Secret* each :
                 {&secrets.signer.seed(), &secrets.box.scalar(), &*full->keys().secrets().root_secret})
                writer.raw(each->reveal());
            writer.u8(0);
            for (const auto* box : {&secrets.reader, &secrets.maintainer}) {
                writer.u8(*box ? 1 : 0);
                if (*box) writer.raw((*box)->scalar().reveal());
            }
            Bytes context = to_bytes(as_bytes("holdfast key slot"));
            append(context, full->id().view());
            append(context, slot.signer.view());
            small_.store.overwrite(
                slot.object,
                slot_of(1, {{1, Bytes{2}},
                            {3, to_bytes(salt)},
                            {4, slot.signed_credential},
                            {5, crypto::seal(crypto::derive(key.secret.reveal(), salt, "holdfast key file"), context,
                                             plain)}}));
        }
    }
    static Bytes slot_of(std::uint8_t version, const std::vector<std::pair<int, Bytes>>& parts) {
        Bytes out = to_bytes(as_bytes("HFKS"));
        ByteWriter writer(out);
        writer.u8(version);
        for (const auto& [tag, value] : parts) {
            writer.u8(static_cast<std::uint8_t>(tag));
            writer.u32(static_cast<std::uint32_t>(value.size()));
            writer.raw(value);
        }
        return out;
    }
    // A `config` whose recipient he is, all credentials signed by himself, a log in which he enrols them. What is sealed in
    // the slots he leaves as it is.
    void swap() {
        const repo::Config before = small_.open()->keys().config();
        repo::Config config = before;
        config.root = thief_.public_key();
        config.reader = thiefs_box_.public_key();
        config.maintainer = thiefs_box_.public_key();
        std::vector<repo::Credential> credentials;
        for (const repo::SlotInfo& slot : repo::list_slots(small_.store, before)) {
            credentials.push_back(slot.credential);
            const Bytes forged = repo::encode(slot.credential, before.repository, thief_);
            ByteReader reader(slot.stored, "a slot");
            reader.raw(4);
            const std::uint8_t version = reader.u8();
            std::vector<std::pair<int, Bytes>> parts;
            while (!reader.done()) {
                const int tag = reader.u8();
                const ByteView value = reader.raw(reader.u32());
                parts.emplace_back(tag, tag == 4 ? forged : to_bytes(value));
            }
            small_.store.overwrite(slot.object, slot_of(version, parts));
        }
        for (const std::string& entry : small_.store.names("log/")) small_.store.remove(entry);
        small_.store.overwrite("config", repo::encode(config, thief_));
        repo::Keyring keys(config, credentials.front(),
                           {crypto::SigningKey::generate(small_.sim.random),
                            crypto::BoxKey::generate(small_.sim.random),
                            Secret(small_.sim.random.array<32>()),
                            {},
                            {},
                            thief_,
                            {},
                            {}});
        repo::LogBook log(small_.store, keys, small_.sim.world());
        for (const repo::Credential& each : credentials) log.enrol(each);
    }
    Code refusal(const std::string& label, const std::string& client_folder = "") {
        try {
            open_as(label, client_folder);
        } catch (const Error& error) {
            EXPECT_FALSE(error.hint().empty());
            return error.code();
        }
        ADD_FAILURE() << label << " opened";
        return Code::internal;
    }

    const crypto::SigningKey thief_ = crypto::SigningKey::generate(small_.sim.random);
    const crypto::BoxKey thiefs_box_ = crypto::BoxKey::generate(small_.sim.random);
    const std::vector<std::string> lesser_{"honest", "reader", "maintainer"};
};

TEST_F(SwappedConfig, is_refused_by_every_role_on_a_machine_that_is_new) {
    swap();
    for (const std::string& label : lesser_) EXPECT_EQ(refusal(label), Code::corrupt) << label;
    EXPECT_THROW(small_.open(), Error);
}

TEST_F(SwappedConfig, is_refused_with_slots_of_the_first_version_which_open_where_the_root_is_known) {
    const TemporaryFolder known, deceived;
    for (const std::string& label : lesser_) open_as(label, known.path());
    make_slots_of_version_1();
    const MemoryStore::Objects before = small_.store.objects();
    const std::string repository = small_.open()->id().hex();
    swap();
    for (const std::string& label : lesser_) {
        EXPECT_EQ(refusal(label), Code::wrong_key) << label;
        EXPECT_EQ(refusal(label, known.path()), Code::wrong_key) << label;
    }
    // That it is the marks alone which refuse: with marks of the thief's log, all that he made is believed.
    std::filesystem::create_directory(deceived.path() + "/marks");
    write_file_durably(deceived.path() + "/marks/" + repository + "-elsewhere",
                       as_bytes(repo::signer_id_of(thief_.public_key()).hex() + " 0 0 -\n"));
    EXPECT_EQ(open_as("honest", deceived.path())->keys().config().reader, thiefs_box_.public_key());

    small_.store.set_objects(before);
    for (const std::string& label : lesser_) {
        EXPECT_EQ(refusal(label), Code::wrong_key) << label;
        small_.sim.log.clear();
        const auto opened = open_as(label, known.path());
        EXPECT_TRUE(small_.sim.log.contains("holdfast key change")) << label;
        EXPECT_TRUE(opened->keys().secrets().root_secret) << label;
        opened->change_key(key_of(label));
        EXPECT_EQ(open_as(label)->keys().secrets().root_secret.has_value(), label == "reader") << label;
    }
    swap();
    for (const std::string& label : lesser_) EXPECT_EQ(refusal(label, known.path()), Code::corrupt) << label;
}

}  // namespace
}  // namespace holdfast::testing_support
