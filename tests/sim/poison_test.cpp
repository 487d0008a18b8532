// What somebody with one writer's key, or who may write to the bucket, puts where others must read.
#include "base/file.h"
#include "engine/attest.h"
#include "engine/replicate.h"
#include "filled_repository.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "repo/reach.h"
#include "repo/session.h"

namespace holdfast::testing_support {
namespace {

using repo::EntryType;
using repo::Repository;
using repo::Role;
using ::testing::HasSubstr;

repo::Unlock key_of(const std::string& label) { return test_key(label + std::string(32, '.')); }

engine::PruneReport prune(Repository& repository) {
    engine::Progress progress;
    return engine::prune(repository, {}, progress);
}

// An entry as nobody's program writes it.
struct Forgery {
    EntryType type = EntryType::close;
    std::uint64_t slots_off = 0;
    bool chained = true;
    Bytes body = {};
};

class Poison : public testing::Test {
protected:
    explicit Poison(const repo::InitOptions& options = {}) : small_(1, options) {}
    void SetUp() override {
        const auto full = small_.open();
        full->add_key(key_of("honest"), {"honest", Role::writer});
        full->add_key(key_of("stolen"), {"stolen", Role::writer});
        full->add_key(key_of("reader"), {"reader", Role::reader});
        full->add_key(key_of("maintainer"), {"maintainer", Role::maintainer});
        kept_ = small_.back_up(*open_as("honest"), tree_, "db").id;
        gone_ = small_.back_up(*open_as("honest"), {{"/gone", {noise(3, 40'000)}}}, "gone").id;
        stolen_ = small_.back_up(*open_as("stolen"), {{"/web", {noise(2, 30'000)}}}, "web").id;
        thief_ = open_as("stolen");
    }
    std::unique_ptr<Repository> open_as(const std::string& label, const std::string& folder = "") {
        return Repository::open(std::make_unique<StoreDecorator>(small_.store), key_of(label), {folder},
                                small_.sim.world());
    }
    const repo::Lane& lane_of(Repository& repository) {
        return repository.log().lanes().at({repository.keys().own_id(), 0});
    }
    Bytes forged(const repo::Lane& lane, const Forgery& forgery, const crypto::SigningKey& author) {
        Bytes payload;
        ByteWriter writer(payload);
        writer.u8(static_cast<std::uint8_t>(forgery.type));
        writer.raw(lane.name.signer.view());
        writer.u32(lane.name.lane);
        writer.u64(lane.next + forgery.slots_off);
        writer.raw(forgery.chained ? lane.last_hash : crypto::Digest{});
        writer.zigzag(1);
        writer.string(forgery.body);
        return repo::sign(repo::SignedKind::log_entry, thief_->id(), author, payload);
    }
    // Puts it where the stolen key's log goes on, and what looks like a session with a COMMIT behind it.
    std::string poison(ByteView bytes) {
        repo::Lane lane = lane_of(*thief_);
        const std::string object = repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next);
        small_.store.create(object, bytes);
        Bytes before = to_bytes(bytes);
        for (const EntryType type : {EntryType::open, EntryType::commit}) {
            ++lane.next;
            lane.last_hash = crypto::sha256(before);
            const auto commits = thief_->log().snapshots();
            const Bytes body = type == EntryType::open ? repo::encode(repo::OpenBody{})
                                                       : repo::encode_commit(commits.back().record, {});
            before = forged(lane, {.type = type, .body = body}, thief_->keys().secrets().signer);
            small_.store.create(repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next), before);
        }
        return object;
    }
    void expect_others_go_on() {
        for (const std::string role : {"reader", "maintainer", "honest"}) EXPECT_NO_THROW(open_as(role)) << role;
        EXPECT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
        const repo::Snapshot more = small_.back_up(*open_as("honest"), tree_, "db");
        EXPECT_EQ(more.bytes.read, 0U);
        EXPECT_TRUE(restored(*open_as("reader"), more.id) == contents_of(tree_));
    }

    // A broken log keeps no copy from being made, and a replica believes what its origin believes.
    void expect_replicated(Store& replica) {
        const auto origin = small_.open();
        engine::Progress progress;
        EXPECT_TRUE(engine::Replication(*origin, replica, progress).run({}).findings.empty());
        const auto there =
            Repository::open(std::make_unique<StoreDecorator>(replica), key_of("reader"), {""}, small_.sim.world());
        std::vector<repo::SnapshotId> here_ids, there_ids;
        for (const repo::Snapshot& each : origin->snapshots()) here_ids.push_back(each.id);
        for (const repo::Snapshot& each : there->snapshots()) there_ids.push_back(each.id);
        EXPECT_THAT(there_ids, ::testing::UnorderedElementsAreArray(here_ids));
        EXPECT_TRUE(restored(*there, kept_) == contents_of(tree_));
    }

    FilledRepository small_;
    const MemoryTree tree_{{"/libssl", {noise(1, 60'000)}}};
    repo::SnapshotId kept_, gone_, stolen_;
    std::unique_ptr<Repository> thief_;
};

TEST_F(Poison, what_is_no_entry_ends_its_lane_and_nothing_else) {
    const repo::Lane lane = lane_of(*thief_);
    const crypto::SigningKey& own = thief_->keys().secrets().signer;
    const auto stranger = crypto::SigningKey::generate(small_.sim.random);
    const auto reader = open_as("reader");
    const crypto::SigningKey& not_his = reader->keys().secrets().signer;
    Bytes huge_lane;
    ByteWriter(huge_lane).varint(0);
    ByteWriter(huge_lane).u32(0xffffffff);
    const std::vector<std::pair<std::string, Bytes>> poisons{
        {"nothing at all", {}},
        {"a web page", to_bytes(as_bytes("<html>not here</html>"))},
        {"signed by a stranger", forged(lane, {}, stranger)},
        {"by one who has no right", forged(lane, {.type = EntryType::fenced, .body = Bytes{0}}, not_his)},
        {"of another place", forged(lane, {.slots_off = 3}, own)},
        {"not chained", forged(lane, {.chained = false}, own)},
        {"of a type of the future", forged(lane, {.type = static_cast<EntryType>(77)}, own)},
        {"a STAMP by a writer", forged(lane, {.type = EntryType::stamp, .body = Bytes{9}}, own)},
        {"a VOID where nothing is broken", forged(lane, {.type = EntryType::voided, .body = Bytes(40)}, own)},
        {"an OPEN that ends too early", forged(lane, {.type = EntryType::open, .body = Bytes{1}}, own)},
        {"a FRAGMENT of nothing", forged(lane, {.type = EntryType::fragment}, own)},
        {"a COMMIT that is cut", forged(lane, {.type = EntryType::commit, .body = Bytes{200, 1, 2}}, own)},
        {"a LANE beyond all", forged(lane, {.type = EntryType::lane, .body = huge_lane}, own)},
    };
    const MemoryStore::Objects before = small_.store.objects();
    for (const auto& [name, bytes] : poisons) {
        SCOPED_TRACE(name);
        small_.store.set_objects(before);
        small_.sim.log.clear();
        const std::string object = poison(bytes);
        expect_others_go_on();
        EXPECT_TRUE(small_.sim.log.contains("counts up to there only"));
        const auto full = small_.open();
        EXPECT_EQ(full->snapshots().size(), 4U)
            << "what he committed before stays, what he says behind it counts for nothing";
        const engine::CheckReport report = check(*full);
        ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
        EXPECT_EQ(report.errors[0].object, object);
        EXPECT_THAT(report.errors[0].effect, HasSubstr("holdfast unlock"));

        full->forget({gone_}, "test");
        const std::size_t packs = small_.store.names("data/").size();
        try {
            prune(*open_as("maintainer"));
            ADD_FAILURE() << "pruned";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
            EXPECT_THAT(error.hint(), HasSubstr("holdfast unlock " + lane.name.signer.short_hex()));
        }
        EXPECT_EQ(small_.store.names("data/").size(), packs);
        MemoryStore replica(small_.sim.clock);
        engine::begin_replica(*small_.open(), replica);
        expect_replicated(replica);

        // The way out, by whoever may collect.
        EXPECT_THROW(engine::unlock(*open_as("reader"), {.signer = lane.name.signer.hex()}), Error);
        const auto maintainer = open_as("maintainer");
        const engine::UnlockReport ended = engine::unlock(*maintainer, {.signer = lane.name.signer.hex()});
        EXPECT_EQ(ended.voided, std::vector<std::string>{object});
        prune(*maintainer);
        EXPECT_EQ(all_of(check(*small_.open())), "");
        expect_others_go_on();
        // The key's honest holder goes on in the same lane.
        const repo::Snapshot later = small_.back_up(*open_as("stolen"), {{"/web", {noise(2, 30'000)}}}, "web");
        EXPECT_TRUE(restored(*open_as("reader"), later.id).contains("/web"));
        EXPECT_EQ(lane_of(*open_as("stolen")).name.lane, 0U);
        expect_replicated(replica);
    }
}

TEST_F(Poison, a_log_that_somebody_else_broke_costs_its_owner_the_session_and_then_nothing) {
    const auto honest = open_as("honest");
    repo::Session session(*honest, repo::Session::Mode::write);
    const repo::Lane lane = lane_of(*honest);
    small_.store.create(repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next), as_bytes("rubbish"));
    try {
        repo::Snapshot snapshot;
        snapshot.source = "db";
        session.commit(std::move(snapshot));
        ADD_FAILURE() << "committed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::fenced);
    }
    // His first lane makes no further ones, so a key whose first lane is broken waits for `unlock`.
    EXPECT_THROW(small_.back_up(*open_as("honest"), tree_, "db"), Error);
    EXPECT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
    engine::unlock(*open_as("honest"), {.signer = lane.name.signer.hex()});
    small_.back_up(*open_as("honest"), tree_, "db");
    EXPECT_EQ(all_of(check(*small_.open())), "");
}

// The log of the root says who there is.
TEST_F(Poison, what_ends_the_roots_log_locks_nobody_out) {
    const auto full = small_.open();
    const repo::LaneName root{full->keys().root_id(), 0};
    const std::string object = repo::names::log_entry(root.signer, 0, full->log().lanes().at(root).next);
    small_.store.create(object, as_bytes("rubbish"));
    expect_others_go_on();
    EXPECT_THROW(small_.open()->add_key(key_of("new"), {"new", Role::reader}), Error);
    EXPECT_EQ(engine::unlock(*small_.open(), {.signer = root.signer.hex(), .dry_run = true}).voided,
              std::vector<std::string>{object});
    EXPECT_FALSE(small_.open()->log().lanes().at(root).broken.empty());
    engine::unlock(*small_.open(), {.signer = root.signer.hex()});
    small_.open()->add_key(key_of("newer"), {"newer", Role::reader});
    EXPECT_TRUE(restored(*open_as("newer"), kept_) == contents_of(tree_));
    EXPECT_EQ(all_of(check(*small_.open())), "");
}

// An entry that was there and is another now is no poison: somebody who may overwrite went back in time.
TEST_F(Poison, an_entry_that_was_replaced_is_still_found_out_by_who_has_seen_it) {
    const TemporaryFolder folder;
    const repo::Lane lane = lane_of(*thief_);
    open_as("reader", folder.path());
    const std::string last = repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next - 1);
    const MemoryStore::Objects before = small_.store.objects();
    small_.store.overwrite(last, to_bytes(as_bytes("rubbish")));
    for (const bool is_gone : {false, true}) {
        if (is_gone) small_.store.remove(last);
        try {
            open_as("reader", folder.path());
            ADD_FAILURE() << "opened";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::rolled_back);
        }
    }
    small_.store.set_objects(before);
    EXPECT_NO_THROW(open_as("reader", folder.path()));
}

// A store that answers wrongly once is not agreed with for ever: VOID names what it is about by its hash.
TEST_F(Poison, a_void_about_other_bytes_than_there_are_is_no_void) {
    const repo::Lane lane = lane_of(*thief_);
    const std::string commit = repo::names::log_entry(lane.name.signer, lane.name.lane, lane.next - 1);
    const Bytes right = *small_.store.read(commit);
    small_.store.overwrite(commit, to_bytes(as_bytes("a wrong answer")));
    engine::unlock(*small_.open(), {.signer = lane.name.signer.hex()});
    EXPECT_EQ(small_.open()->snapshots().size(), 2U);
    small_.store.overwrite(commit, right);
    EXPECT_EQ(small_.open()->snapshots().size(), 3U);
    EXPECT_THROW(prune(*small_.open()), Error);
    engine::unlock(*small_.open(), {.signer = lane.name.signer.hex()});
    prune(*small_.open());
    EXPECT_EQ(small_.open()->snapshots().size(), 3U);
    EXPECT_EQ(all_of(check(*small_.open())), "");
}

TEST_F(Poison, a_number_of_no_collection_stops_nobody) {
    Bytes body;
    ByteWriter writer(body);
    writer.varint(std::uint64_t{1} << 50);
    writer.u32(1);
    const repo::Lane lane = lane_of(*thief_);
    small_.store.create(repo::names::log_entry(lane.name.signer, 0, lane.next),
                        forged(lane, {.type = EntryType::lane, .body = body}, thief_->keys().secrets().signer));
    expect_others_go_on();
    small_.open()->forget({gone_}, "test");
    prune(*open_as("maintainer"));
    EXPECT_EQ(all_of(check(*small_.open())), "");
}

TEST_F(Poison, a_fragment_that_is_not_there_hides_nothing_of_others) {
    {
        repo::Session session(*thief_, repo::Session::Mode::write);
        repo::PackContents pack{{repo::PackKind::data, repo::PackId{small_.sim.random.array<32>()}}, 100, {}};
        const repo::EncodedFragment fragment =
            repo::encode_fragment(thief_->keys(), std::vector{pack}, small_.sim.random);
        session.publish(fragment);
        session.publish_and_close();
        small_.store.remove(repo::names::fragment(fragment.body.id));
    }
    expect_others_go_on();
    EXPECT_EQ(check(*small_.open()).errors.size(), 1U);
    prune(*open_as("maintainer"));
    EXPECT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
}

TEST_F(Poison, a_commit_of_nothing_is_no_snapshot_and_goes_by_unlock) {
    const repo::Lane lane = lane_of(*thief_);
    small_.store.create(
        repo::names::log_entry(lane.name.signer, 0, lane.next),
        forged(lane, {.type = EntryType::commit, .body = repo::encode_commit(as_bytes("no record"), {})},
               thief_->keys().secrets().signer));
    expect_others_go_on();
    EXPECT_EQ(check(*small_.open()).errors.size(), 1U);
    EXPECT_THROW(prune(*small_.open()), Error);
    EXPECT_EQ(engine::unlock(*small_.open(), {.signer = lane.name.signer.hex()}).voided.size(), 1U);
    EXPECT_NO_THROW(prune(*small_.open()));
}

// A note of a stranger says nothing; but it may stand where a hold stood.
TEST_F(Poison, a_note_that_is_none_harms_nobody_and_its_snapshot_stays) {
    std::uint64_t number = 0;
    while (small_.store.find(repo::names::note(kept_, number))) ++number;
    const std::string object = repo::names::note(kept_, number);
    small_.store.create(object, as_bytes("rubbish"));
    expect_others_go_on();
    EXPECT_THAT(all_of(check(*small_.open())), HasSubstr(object + ": damaged"));
    small_.open()->notes().append(kept_, repo::NoteKind::hold, 1, "audit");
    const auto full = small_.open();
    const auto at = std::ranges::find(full->snapshots(), kept_, &repo::Snapshot::id);
    ASSERT_NE(at, full->snapshots().end());
    EXPECT_EQ(at->holds, std::vector<std::string>{"audit"});
    full->notes().append(kept_, repo::NoteKind::release, 1, "audit");
    engine::ForgetPlan plan{.ids = {}, .keep = policy::Retention{.last = 1}, .policies = {}, .source = {}};
    for (const engine::Verdict& each : engine::forget(*small_.open(), plan).remove) EXPECT_NE(each.snapshot.id, kept_);
    EXPECT_NO_THROW(prune(*small_.open()));
    EXPECT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
}

// Whoever says that chunks of others lie in a pack of his must not get those of the others deleted.
TEST_F(Poison, a_forged_place_costs_no_other_place_its_life) {
    const MemoryStore::Objects before = small_.store.objects();
    for (const std::string collector : {"maintainer", "full"}) {
        SCOPED_TRACE(collector);
        small_.store.set_objects(before);
        const auto thief = open_as("stolen");
        const Bytes rubbish = to_bytes(as_bytes(noise(9, 500'000)));
        const std::vector<repo::IndexedPack> pack{
            {{repo::PackKind::data, repo::PackId{crypto::sha256(rubbish)}}, rubbish.size()}};
        std::vector<repo::IndexRecord> lies;
        for (const auto& fragment : thief->index().fragments())
            fragment->scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
                lies.push_back({id, 0, 0, place.length});
            });
        ASSERT_GT(lies.size(), 3U);
        small_.store.create(pack[0].ref.object(), rubbish);
        {
            repo::Session session(*thief, repo::Session::Mode::write);
            session.publish(repo::encode_fragment(thief->keys(), pack, lies, small_.sim.random));
            session.publish_and_close();
        }
        for (int turn = 0; turn < 3; ++turn) {
            small_.back_up(*open_as("honest"), {{"/more", {noise(20 + static_cast<std::uint64_t>(turn), 9'000), turn}}},
                           "more");
            prune(collector == "full" ? *small_.open() : *open_as(collector));
        }
        EXPECT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
        EXPECT_TRUE(restored(*open_as("reader"), stolen_).contains("/web"));
    }
}

// What a node reaches a maintainer cannot prove, and it is sealed by whoever likes to.
class PoisonedNodes : public Poison {
protected:
    // So that little data makes an inner node, leaves, and a list.
    PoisonedNodes() : Poison({.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}) {}

    void SetUp() override {
        Poison::SetUp();
        for (int i = 0; i < 2500; ++i) deep_[fmt::format("/many/{:0100}", i)] = {};
        deep_["/long"] = {std::string(1100 * 16384, 'x')};
        deep_id_ = small_.back_up(*open_as("honest"), deep_, "deep").id;
        whole_ = contents_of(deep_);
    }
    // Nodes below a snapshot's root, the root first.
    std::vector<repo::ChunkId> nodes_of(const repo::SnapshotId& id) {
        const auto full = small_.open();
        const repo::Reach reach(*full);
        const auto at = std::ranges::find(full->snapshots(), id, &repo::Snapshot::id);
        std::vector<repo::ChunkId> out{at->root};
        for (std::size_t next = 0; next < out.size(); ++next) {
            const auto claims = reach.claims(out[next]);
            for (const repo::Child& child : claims.at(0))
                if (child.kind != repo::ChildKind::chunk) out.push_back(child.id);
        }
        return out;
    }
    void forge(Repository& thief, const repo::ChunkId& node, const std::vector<repo::Child>& children) {
        Bytes reachable;
        ByteWriter writer(reachable);
        writer.u8(1);
        writer.varint(children.size());
        for (const repo::Child& child : children) {
            writer.u8(static_cast<std::uint8_t>(child.kind));
            writer.raw(child.id.view());
        }
        repo::SectionBuilder section(thief.keys(), repo::PackKind::meta, small_.sim.random);
        section.add(node, reachable, as_bytes("rubbish"));
        Bytes bytes;
        std::vector<repo::ChunkPlace> places;
        section.finish(bytes, places);
        const repo::PackContents pack{{repo::PackKind::meta, repo::seal_pack(bytes)}, bytes.size(), places};
        small_.store.create(pack.pack.object(), bytes);
        repo::Session session(thief, repo::Session::Mode::write);
        session.publish(repo::encode_fragment(thief.keys(), std::vector{pack}, small_.sim.random));
        session.publish_and_close();
    }
    // Who is asked first goes by the signers' ids: one on either side of the victim's.
    std::vector<std::string> thieves() {
        const std::string victim = open_as("honest")->keys().own_id().hex();
        std::map<bool, std::string> out;
        for (int number = 0; out.size() < 2; ++number) {
            const std::string label = fmt::format("thief {}", number);
            small_.open()->add_key(key_of(label), {label, Role::writer});
            out[open_as(label)->keys().own_id().hex() < victim] = label;
        }
        return {out[false], out[true]};
    }
    repo::ChunkId nothing() { return repo::ChunkId{small_.sim.random.array<32>()}; }

    MemoryTree deep_;
    repo::SnapshotId deep_id_;
    std::map<std::string, std::string> whole_;
};

TEST_F(PoisonedNodes, what_a_forged_node_leaves_out_is_not_collected) {
    const std::vector<repo::ChunkId> nodes = nodes_of(deep_id_);
    ASSERT_GT(nodes.size(), 4U) << "a root, leaves, lists";
    const repo::ChunkId data{small_.open()->keys().domain().chunk_id(as_bytes(tree_.at("/libssl").bytes))};
    const std::map<std::string, std::vector<repo::Child>> lies{
        {"reaches nothing", {}},
        {"reaches what is not there",
         {{repo::ChildKind::chunk, nothing()}, {repo::ChildKind::node, nothing()}, {repo::ChildKind::list, data}}}};
    const std::vector<std::string> labels = thieves();
    const MemoryStore::Objects before = small_.store.objects();
    for (const std::string collector : {"maintainer", "full"}) {
        for (const std::string& label : labels) {
            for (const auto& [lie, children] : lies) {
                for (std::size_t number = 0; number < nodes.size(); ++number) {
                    SCOPED_TRACE(fmt::format("{}, {}, node {} {}", collector, label, number, lie));
                    small_.store.set_objects(before);
                    forge(*open_as(label), nodes[number], children);
                    small_.open()->forget({gone_}, "test");
                    const std::size_t packs = small_.store.names("data/").size();
                    for (int turn = 0; turn < 2; ++turn)
                        prune(collector == "full" ? *small_.open() : *open_as(collector));
                    EXPECT_LT(small_.store.names("data/").size(), packs) << "what nobody reaches goes";
                    ASSERT_TRUE(restored(*open_as("reader"), deep_id_) == whole_);
                    ASSERT_TRUE(restored(*open_as("reader"), kept_) == contents_of(tree_));
                }
            }
        }
    }
}

TEST_F(PoisonedNodes, who_proved_a_node_counts_alone) {
    const repo::ChunkId root = nodes_of(deep_id_).at(0);
    forge(*thief_, root, {});
    EXPECT_EQ(repo::Reach(*open_as("maintainer")).claims(root).size(), 2U);
    EXPECT_EQ(repo::Reach(*open_as("reader")).claims(root).size(), 1U);
    engine::Progress progress;
    EXPECT_EQ(engine::attest(*open_as("reader"), progress).refused.size(), 1U);
    const auto claims = repo::Reach(*open_as("maintainer")).claims(root);
    ASSERT_EQ(claims.size(), 1U);
    EXPECT_FALSE(claims[0].empty());
}

TEST_F(PoisonedNodes, a_forged_node_makes_no_snapshot_whole_and_none_lacking) {
    const std::vector<std::string> packs = small_.store.names("data/");
    const repo::SnapshotId late = small_.back_up(*open_as("honest"), {{"/late", {noise(40, 9'000)}}}, "late").id;
    repo::PackId pack;
    for (const std::string& each : small_.store.names("data/"))
        if (std::ranges::find(packs, each) == packs.end()) pack = *repo::PackId::from_hex_text(each.substr(5));
    ASSERT_FALSE(pack.is_zero());
    const repo::ChunkId root = nodes_of(late).at(0);
    const MemoryStore::Objects before = small_.store.objects();
    const std::vector<repo::SnapshotId> it{late}, none;
    for (const std::set<repo::PackId>& lacking : {std::set<repo::PackId>{}, std::set{pack}}) {
        SCOPED_TRACE(lacking.empty() ? "whole" : "cut off");
        small_.store.set_objects(before);
        const auto& lost = lacking.empty() ? none : it;
        EXPECT_EQ(engine::not_whole(*open_as("maintainer"), it, lacking).surely, lost);
        forge(*open_as("stolen"), root,
              lacking.empty() ? std::vector<repo::Child>{{repo::ChildKind::node, nothing()}}
                              : std::vector<repo::Child>{});
        EXPECT_EQ(engine::not_whole(*small_.open(), it, lacking).surely, lost);
        EXPECT_EQ(engine::not_whole(*small_.open(), it, lacking).contested, none);
        EXPECT_EQ(engine::not_whole(*open_as("maintainer"), it, lacking).surely, none);
        EXPECT_EQ(engine::not_whole(*open_as("maintainer"), it, lacking).contested, it);
    }
}

// All that the origin has came over, but the cut: the last copy died before it.
TEST_F(PoisonedNodes, a_forged_node_gets_nothing_forgotten_by_a_promotion) {
    MemoryStore replica(small_.sim.clock);
    engine::begin_replica(*small_.open(), replica);
    expect_replicated(replica);
    const repo::SnapshotId late = small_.back_up(*open_as("honest"), {{"/late", {noise(40, 9'000)}}}, "late").id;
    forge(*open_as("stolen"), nodes_of(late).at(0), {{repo::ChildKind::node, nothing()}});
    MemoryStore::Objects arrived = replica.objects();
    for (const auto& [name, object] : small_.store.objects()) arrived.try_emplace(name, object);
    const std::vector<repo::SnapshotId> it{late}, none;
    for (const std::string label : {"maintainer", "full"}) {
        SCOPED_TRACE(label);
        replica.set_objects(arrived);
        const auto opened = Repository::open(std::make_unique<StoreDecorator>(replica),
                                             label == "full" ? test_key() : key_of(label), {}, small_.sim.world());
        const engine::PromoteReport report = engine::promote(*opened, false);
        EXPECT_EQ(report.forgotten, none);
        EXPECT_EQ(report.beyond, label == "full" ? it : none);
        EXPECT_EQ(report.contested, label == "full" ? none : it);
    }
}

// A fragment that stands for many is signed by who merged them.
TEST_F(Poison, merging_makes_nobodys_claims_true) {
    const MemoryTree tomorrow{{"/libssl-4", {noise(77, 60'000)}}};
    const repo::ChunkId id{thief_->keys().domain().chunk_id(as_bytes(tomorrow.at("/libssl-4").bytes))};
    const Bytes rubbish = to_bytes(as_bytes(noise(9, 500'000)));
    repo::PackContents lies{
        {repo::PackKind::data, repo::PackId{crypto::sha256(rubbish)}}, rubbish.size(), {{id, 0, 100}}};
    small_.store.create(lies.pack.object(), rubbish);
    for (int turn = 0; turn < 12; ++turn) {
        repo::Session session(*thief_, repo::Session::Mode::write);
        session.publish(repo::encode_fragment(thief_->keys(), std::vector{lies}, small_.sim.random));
        session.publish_and_close();
        small_.back_up({{"/own", {noise(100 + static_cast<std::uint64_t>(turn), 9'000), turn}}}, "own");
    }
    const std::size_t before = small_.open()->index().fragments().size();
    prune(*small_.open());
    EXPECT_LT(small_.open()->index().fragments().size(), before) << "there was something to merge";
    EXPECT_FALSE(open_as("honest")->index().knows(id));
    const repo::Snapshot whole = small_.back_up(*open_as("honest"), tomorrow, "db");
    EXPECT_GT(whole.bytes.added, 60'000U);
    EXPECT_TRUE(restored(*open_as("reader"), whole.id) == contents_of(tomorrow));
}

}  // namespace
}  // namespace holdfast::testing_support
