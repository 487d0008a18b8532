// Replicas: objects as they are, in another store, whatever happens on the way and on either side.
#include <cstdlib>

#include "base/file.h"
#include "engine/attest.h"
#include "engine/replicate.h"
#include "filled_repository.h"
#include "repo/journal.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "repo/segment_pack.h"
#include "store/retry.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {
namespace {

using engine::ReplicateReport;
using repo::Repository;
using repo::Role;

constexpr codec::ChunkSizes small_chunks{4096, 8192, 16384};
repo::Unlock key_of(const std::string& label) { return test_key(label + std::string(32, '.')); }

MemoryTree tree_of(std::int64_t version) {
    const auto number = static_cast<std::uint64_t>(version);
    return {{"/a/large", {noise(1, 150'000)}},
            {"/a/mine", {noise(100 + number, 60'000), version}},
            {"/b/hole", {"x", 1, 100'000}},
            {"/c", {noise(200 + number, 900), version}}};
}

// Calls `before` ahead of each request of a kind; what it does is done behind the back of who asked.
class Watched final : public StoreDecorator {
public:
    Watched(Store& inner, std::function<void(std::string_view name)> before)
        : StoreDecorator(inner), before_(std::move(before)) {}
    std::optional<Bytes> read(std::string_view name) override {
        before_(name);
        return StoreDecorator::read(name);
    }
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override {
        before_(prefix);
        StoreDecorator::list(prefix, each);
    }

private:
    std::function<void(std::string_view name)> before_;
};

class Replica : public testing::Test {
protected:
    void SetUp() override {
        keep(tree_of(1));
        keep(tree_of(2));
        begin(target_);
    }

    // What each snapshot must give back, also when it comes out of another store.
    repo::Snapshot keep(const MemoryTree& tree, const std::string& source = "memory") {
        return keep(*origin_.open(), tree, source);
    }
    repo::Snapshot keep(Repository& repository, const MemoryTree& tree, const std::string& source = "memory") {
        const repo::Snapshot out = origin_.back_up(repository, tree, source);
        contents_[out.id] = contents_of(tree);
        return out;
    }
    std::unique_ptr<Repository> open_at(Store& store, const repo::Unlock& key = test_key()) {
        return Repository::open(std::make_unique<StoreDecorator>(store), key, {}, origin_.sim.world());
    }
    void begin(Store& target) { engine::begin_replica(*origin_.open(), target); }
    ReplicateReport copy(Repository& from, Store& target, const engine::ReplicatePlan& plan = {}) {
        engine::Progress progress;
        return engine::Replication(from, target, progress).run(plan);
    }
    ReplicateReport copy(Store& target) { return copy(*origin_.open(), target); }
    void prune(Repository& repository) {
        engine::Progress progress;
        engine::prune(repository, {.unused_max = 0, .checkpoint_entries = 4}, progress);
    }
    void forget_first() {
        const auto repository = origin_.open();
        repository->forget({repository->snapshots().front().id}, "test");
    }

    std::vector<repo::SnapshotId> expect_shown_is_whole(Store& store) {
        const auto repository = open_at(store);
        std::vector<repo::SnapshotId> shown;
        for (const repo::Snapshot& snapshot : repository->snapshots()) {
            shown.push_back(snapshot.id);
            EXPECT_TRUE(restored(*repository, snapshot.id) == contents_.at(snapshot.id)) << snapshot.id.short_hex();
        }
        return shown;
    }
    void expect_same_objects(bool also_collected = false) {
        for (const auto& [name, object] : target_.objects()) {
            if (name.starts_with("replica/")) continue;
            const auto origin = origin_.store.read(name);
            if (!also_collected || origin) {
                ASSERT_TRUE(origin && *origin == *object.bytes) << name;
            }
        }
        for (const std::string& name : origin_.store.names()) EXPECT_TRUE(target_.find(name)) << name;
    }
    template <class Call>
    void expect_refused(Code code, const Call& call) {
        try {
            call();
            ADD_FAILURE() << "no error";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.message();
            EXPECT_FALSE(error.unharmed().empty()) << error.message();
            EXPECT_FALSE(error.hint().empty()) << error.message();
        }
    }

    FilledRepository origin_{1, {.chunk_sizes = small_chunks, .pack_bytes = 64 * 1024}};
    MemoryStore target_{origin_.sim.clock};
    std::map<repo::SnapshotId, std::map<std::string, std::string>> contents_;
};

TEST_F(Replica, holds_every_object_as_it_is) {
    origin_.open()->add_key(key_of("reader"), {"reader", Role::reader});
    const repo::SnapshotId first = origin_.open()->snapshots().front().id;
    origin_.open()->notes().append(first, repo::NoteKind::hold, 5, "audit");
    EXPECT_TRUE(expect_shown_is_whole(target_).empty());
    const ReplicateReport report = copy(target_);
    EXPECT_EQ(report.snapshots.size(), 2U);
    EXPECT_TRUE(report.findings.empty());
    EXPECT_GT(report.lag, 0);
    expect_same_objects();
    const auto origin = origin_.open(), replica = open_at(target_);
    ASSERT_EQ(replica->snapshots().size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(replica->snapshots()[i].id, origin->snapshots()[i].id);
        EXPECT_EQ(replica->snapshots()[i].received, origin->snapshots()[i].received);
        EXPECT_EQ(replica->snapshots()[i].holds, origin->snapshots()[i].holds);
        EXPECT_EQ(replica->snapshots()[i].signer, origin->snapshots()[i].signer);
    }
    expect_shown_is_whole(target_);
    EXPECT_EQ(all_of(read_all(*replica)), "");
    EXPECT_EQ(restored(*open_at(target_, key_of("reader")), first), contents_.at(first));
}

TEST_F(Replica, a_second_time_moves_nothing_and_later_only_what_is_new) {
    copy(target_);
    const std::vector<std::string> before = target_.names();
    const ReplicateReport again = copy(target_);
    EXPECT_EQ(again.sum().objects, 0U);
    EXPECT_EQ(again.lag, 0);
    EXPECT_EQ(target_.names(), before);
    const repo::Snapshot third = keep(tree_of(3));
    const ReplicateReport later = copy(target_);
    EXPECT_EQ(later.snapshots, std::vector{third.id});
    EXPECT_LT(later.sum().bytes, 100'000U) << "the large file is there already";
    expect_same_objects();
}

TEST_F(Replica, a_dry_run_says_what_would_move_and_writes_nothing) {
    const std::vector<std::string> before = target_.names();
    const ReplicateReport would = copy(*origin_.open(), target_, {.dry_run = true});
    EXPECT_EQ(target_.names(), before);
    const ReplicateReport did = copy(target_);
    EXPECT_EQ(would.snapshots, did.snapshots);
    EXPECT_EQ(would.sum().objects, did.sum().objects);
    EXPECT_EQ(would.sum().bytes, did.sum().bytes);
}

TEST_F(Replica, is_filled_by_the_holder_of_any_key) {
    for (const Role role : {Role::writer, Role::reader, Role::maintainer})
        origin_.open()->add_key(key_of(std::string(name_of(role))), {std::string(name_of(role)), role});
    for (const Role role : {Role::writer, Role::reader, Role::maintainer}) {
        SCOPED_TRACE(name_of(role));
        MemoryStore target(origin_.sim.clock);
        const auto from = open_at(origin_.store, key_of(std::string(name_of(role))));
        engine::begin_replica(*from, target);
        EXPECT_EQ(copy(*from, target).snapshots.size(), 2U);
        EXPECT_EQ(expect_shown_is_whole(target).size(), 2U);
    }
}

TEST_F(Replica, nobody_but_replication_writes_to_it) {
    copy(target_);
    const std::vector<std::string> before = target_.names();
    const auto replica = open_at(target_);
    const repo::SnapshotId id = replica->snapshots().front().id;
    expect_refused(Code::denied, [&] { origin_.back_up(*replica, tree_of(5)); });
    expect_refused(Code::denied, [&] { replica->forget({id}, "test"); });
    expect_refused(Code::denied, [&] {
        replica->note_received();
        replica->notes().append(id, repo::NoteKind::hold, 1, "x");
    });
    expect_refused(Code::denied, [&] { prune(*replica); });
    expect_refused(Code::denied, [&] { replica->add_key(key_of("new"), {"new"}); });
    expect_refused(Code::denied, [&] { replica->change_key(key_of("new")); });
    expect_refused(Code::denied, [&] { repo::JournalWriter(*replica, "orders"); });
    expect_refused(Code::denied, [&] { engine::unlock(*replica, {.signer = replica->key_slots().front().id}); });
    expect_refused(Code::denied, [&] {
        engine::Progress progress;
        engine::attest(*replica, progress);
    });
    expect_refused(Code::denied, [&] { replica->store().remove("config"); });
    EXPECT_EQ(target_.names(), before);
    EXPECT_EQ(all_of(read_all(*replica)), "");
}

// A store that loses replies and fails, and a death after every single write: whatever is left opens, what it shows is
// whole, and the next run brings the rest.
TEST_F(Replica, is_whole_after_a_death_at_any_write) {
    copy(target_);
    keep(tree_of(3));
    forget_first();
    prune(*origin_.open());
    keep(tree_of(4));
    const MemoryStore::Objects start = target_.objects();
    std::size_t deaths = 0;
    for (const bool from_nothing : {false, true}) {
        for (std::uint64_t writes = 0;; ++writes) {
            SCOPED_TRACE(fmt::format("{} writes{}", writes, from_nothing ? " from nothing" : ""));
            target_.set_objects(from_nothing ? MemoryStore::Objects{} : start);
            FaultyStore faulty(target_, origin_.sim);
            faulty.crash_after(writes);
            try {
                if (from_nothing) engine::begin_replica(*origin_.open(), faulty);
                copy(faulty);
            } catch (const std::exception&) {
                ASSERT_TRUE(faulty.crashed());
            }
            const bool is_done = !faulty.crashed();
            deaths += is_done ? 0 : 1;
            if (target_.find("config"))
                expect_shown_is_whole(target_);
            else
                begin(target_);
            copy(target_);
            ASSERT_EQ(expect_shown_is_whole(target_).size(), 3U);
            expect_same_objects(true);
            if (is_done) break;
        }
    }
    EXPECT_GT(deaths, 40U);
}

TEST_F(Replica, comes_about_over_a_store_that_fails_and_tears) {
    keep(tree_of(3));
    for (int seed = 0; seed < 5; ++seed) {
        target_.set_objects({});
        RetryingStore patient(
            std::make_unique<FaultyStore>(
                target_, origin_.sim, Faults{.lost_reply = 0.1, .failed_before = 0.1, .torn = 0.05, .stale_list = 0.2}),
            origin_.sim.world());
        engine::begin_replica(*origin_.open(), patient);
        EXPECT_TRUE(copy(patient).findings.empty());
        keep(tree_of(4 + seed));
        EXPECT_TRUE(copy(patient).findings.empty());
        for (const std::string& torn : target_.names("tmp/")) target_.remove(torn);
        expect_same_objects();
        EXPECT_EQ(expect_shown_is_whole(target_).size(), static_cast<std::size_t>(4 + seed));
    }
}

// Another process forgets, repacks, deletes and backs up when the copy asks the origin for something: at every third request, or
// with HOLDFAST_SIM_SCALE at each.
TEST_F(Replica, is_whole_whenever_the_origin_is_pruned_meanwhile) {
    keep(tree_of(3));
    const MemoryStore::Objects origin = origin_.store.objects();
    const auto contents = contents_;
    std::size_t moments = 0;
    const std::size_t stride = std::getenv("HOLDFAST_SIM_SCALE") == nullptr ? 3 : 1;
    for (std::size_t moment = 0;; moment += stride) {
        SCOPED_TRACE(moment);
        origin_.store.set_objects(origin);
        contents_ = contents;
        target_.set_objects({});
        begin(target_);
        std::size_t asked = 0;
        bool pruned = false;
        std::unique_ptr<Repository> from;
        Watched watched(origin_.store, [&](std::string_view) {
            if (!from || asked++ != moment || pruned) return;
            pruned = true;
            forget_first();
            prune(*origin_.open());
            keep(tree_of(4));
        });
        from = open_at(watched);
        const ReplicateReport report = copy(*from, target_);
        EXPECT_TRUE(report.findings.empty()) << report.findings.front().object;
        expect_shown_is_whole(target_);
        if (!pruned) break;
        moments = moment;
        copy(target_);
        ASSERT_EQ(expect_shown_is_whole(target_).size(), 3U);
    }
    EXPECT_GT(moments, 40U);
}

TEST_F(Replica, keeps_what_the_origin_lost_and_says_that_it_did) {
    copy(target_);
    const MemoryStore::Objects before = origin_.store.objects();
    keep(tree_of(3));
    copy(target_);
    const std::vector<std::string> names = target_.names();
    origin_.store.set_objects(before);  // as from an image of yesterday
    expect_refused(Code::rolled_back, [&] { copy(target_); });
    EXPECT_EQ(target_.names(), names);
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 3U);
    keep(tree_of(7));
    keep(tree_of(8));
    expect_refused(Code::corrupt, [&] { copy(target_); });
    EXPECT_EQ(target_.names(), names);
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 3U);
}

TEST_F(Replica, that_was_written_to_is_not_overwritten) {
    copy(target_);
    const MemoryStore::Objects whole = target_.objects();
    const std::string note = target_.names("notes/").front();
    // What somebody with another program could do: an entry of his own in the next slot, other bytes for what is there.
    const auto origin = origin_.open();
    const repo::Lane lane = origin->log().lanes().at({origin->keys().own_id(), 0});
    const std::string slot = repo::names::log_entry(lane.name.signer, 0, lane.next);
    target_.create(slot, as_bytes("something else"));
    expect_refused(Code::corrupt, [&] { copy(target_); });
    keep(tree_of(3));
    expect_refused(Code::corrupt, [&] { copy(target_); });
    EXPECT_EQ(*target_.read(slot), to_bytes(as_bytes("something else")));
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 2U);

    for (const std::string& name :
         {repo::names::log_entry(lane.name.signer, 0, lane.next - 1), std::string("config"), note}) {
        target_.set_objects(whole);
        Bytes other = *target_.read(name);
        other.back() ^= 1;
        other.push_back(0);
        target_.overwrite(name, other);
        expect_refused(Code::corrupt, [&] { copy(target_); });
        EXPECT_EQ(*target_.read(name), other);
    }
}

TEST_F(Replica, a_repository_of_its_own_is_not_taken_for_one) {
    copy(target_);
    for (const std::string& mark : target_.names("replica/")) target_.remove(mark);
    expect_refused(Code::denied, [&] { copy(target_); });
    MemoryStore empty(origin_.sim.clock);
    expect_refused(Code::no_repository, [&] { copy(empty); });
    EXPECT_THROW(begin(target_), Error);
    FilledRepository stranger(9);
    EXPECT_THROW(begin(stranger.store), Error);
    EXPECT_FALSE(stranger.store.find("replica/0000000000"));
}

// Says that it took a pack, and has none of it or a part.
class Lying final : public StoreDecorator {
public:
    Lying(Store& inner, bool keeps_half) : StoreDecorator(inner), keeps_half_(keeps_half) {}
    Created create(std::string_view name, ByteView bytes) override {
        if (!name.starts_with("data/")) return StoreDecorator::create(name, bytes);
        return keeps_half_ ? StoreDecorator::create(name, bytes.first(bytes.size() / 2)) : Created::created;
    }

private:
    const bool keeps_half_;
};

TEST_F(Replica, shows_nothing_that_its_store_took_and_does_not_have) {
    for (const bool keeps_half : {false, true}) {
        MemoryStore target(origin_.sim.clock);
        begin(target);
        Lying lying(target, keeps_half);
        expect_refused(Code::corrupt, [&] { copy(lying); });
        EXPECT_TRUE(expect_shown_is_whole(target).empty());
        if (keeps_half) continue;  // what is there under another length is told by every further copy
        copy(target);
        EXPECT_EQ(expect_shown_is_whole(target).size(), contents_.size());
    }
}

TEST_F(Replica, a_damaged_or_lost_pack_is_told_and_the_rest_goes_on) {
    const repo::Snapshot bad = keep({{"/bad", {noise(8, 100'000)}}}, "bad");
    const std::vector<std::string> before = origin_.store.names("data/");
    const repo::Snapshot good = keep(tree_of(3));
    const MemoryStore::Objects whole = origin_.store.objects();
    // A pack that only `bad` needs: the copy without it shows which.
    std::string pack;
    for (const std::string& name : before) {
        origin_.store.set_objects(whole);
        origin_.flip(name, 1000);
        const auto errors = read_all(*origin_.open()).errors;
        if (errors.size() == 1 && errors[0].effect.find(bad.id.short_hex()) != std::string::npos &&
            errors[0].effect.find(good.id.short_hex()) == std::string::npos)
            pack = name;
    }
    ASSERT_FALSE(pack.empty());
    for (const bool is_gone : {false, true}) {
        SCOPED_TRACE(is_gone ? "gone" : "flipped");
        origin_.store.set_objects(whole);
        target_.set_objects({});
        begin(target_);
        if (is_gone)
            origin_.store.remove(pack);
        else
            origin_.flip(pack, 1000);
        const ReplicateReport report = copy(target_);
        ASSERT_EQ(report.findings.size(), 1U);
        EXPECT_EQ(report.findings[0].object, pack);
        EXPECT_EQ(report.findings[0].kind, is_gone ? "missing" : "damaged");
        EXPECT_EQ(report.not_whole, std::vector{bad.id});
        EXPECT_FALSE(target_.find(pack)) << "damage is not copied";
        EXPECT_EQ(restored(*open_at(target_), good.id), contents_.at(good.id));
        EXPECT_EQ(read_all(*open_at(target_)).errors.size(), 1U);
        EXPECT_EQ(copy(target_).findings.size(), 1U) << "it is told until it is healed";

        origin_.store.set_objects(whole);
        EXPECT_TRUE(copy(target_).findings.empty());
        EXPECT_EQ(expect_shown_is_whole(target_).size(), 4U);
    }
    // Here, the replica itself is damaged.
    Bytes bytes = *target_.read(pack);
    bytes[500] ^= 1;
    target_.overwrite(pack, bytes);
    EXPECT_TRUE(copy(target_).findings.empty()) << "by size alone it does not show";
    const ReplicateReport compared = copy(*origin_.open(), target_, {.compare = true});
    ASSERT_EQ(compared.findings.size(), 1U);
    EXPECT_EQ(compared.findings[0].kind, "differs");
    EXPECT_EQ(compared.not_whole, std::vector{bad.id});
    EXPECT_EQ(*target_.read(pack), bytes) << "nothing is overwritten";

    FaultyStore faulty(target_, origin_.sim, {.failed_before = 1, .prefix = pack});
    const ReplicateReport unreadable = copy(*origin_.open(), faulty, {.compare = true});
    ASSERT_EQ(unreadable.findings.size(), 1U);
    EXPECT_EQ(unreadable.findings[0].kind, "unreadable");
    EXPECT_EQ(unreadable.not_whole, std::vector{bad.id});
    faulty.set_faults({.failed_before = 1, .prefix = ""});
    EXPECT_THROW(copy(*origin_.open(), faulty, {.compare = true}), Error)
        << "one that is away says nothing of its packs";
}

TEST_F(Replica, what_its_store_lost_of_logs_and_index_is_brought_again) {
    origin_.open()->add_key(key_of("writer"), {"writer", Role::writer});
    copy(target_);
    keep(*open_at(origin_.store, key_of("writer")), tree_of(3), "other");
    copy(target_);
    const MemoryStore::Objects whole = target_.objects();
    const std::vector<std::string> names = target_.names();
    std::size_t lost = 0;
    for (const std::string& name : names) {
        if (!name.starts_with("log/") && !name.starts_with("index/")) continue;
        SCOPED_TRACE(name);
        ++lost;
        for (const bool also_new : {false, true}) {
            const MemoryStore::Objects origin = origin_.store.objects();
            target_.set_objects(whole);
            target_.remove(name);
            if (also_new) origin_.open()->forget({contents_.begin()->first}, "test");
            const std::uint64_t would = copy(*origin_.open(), target_, {.dry_run = true}).sum().objects;
            const ReplicateReport report = copy(target_);
            EXPECT_EQ(would, report.sum().objects);
            if (!also_new) {
                EXPECT_EQ(report.sum().objects, 1U);
                EXPECT_EQ(target_.names(), names);
            }
            EXPECT_TRUE(report.findings.empty());
            ASSERT_TRUE(target_.find(name));
            EXPECT_EQ(*target_.read(name), *origin_.store.read(name));
            EXPECT_EQ(all_of(check(*open_at(target_))), "");
            expect_same_objects();
            origin_.store.set_objects(origin);
        }
        target_.set_objects(whole);
        EXPECT_EQ(copy(*origin_.open(), target_, {.compare = true}).sum().objects, 0U);
        Bytes bytes = *target_.read(name);
        bytes.back() ^= 1;
        target_.overwrite(name, bytes);
        expect_refused(Code::corrupt, [&] { copy(*origin_.open(), target_, {.compare = true}); });
        EXPECT_EQ(*target_.read(name), bytes) << "nothing is overwritten";
    }
    EXPECT_GT(lost, 8U);
}

TEST_F(Replica, bytes_that_change_on_the_way_do_not_get_there) {
    FaultyStore lying(origin_.store, origin_.sim);
    const auto from = open_at(lying);
    for (int tries = 0; tries < 50; ++tries) {
        lying.set_faults({.flipped = 0.2, .truncated = 0.1, .swapped = 0.1, .prefix = "data/"});
        const bool found = !copy(*from, target_).findings.empty();
        for (const std::string& name : target_.names("data/"))
            ASSERT_EQ(*target_.read(name), *origin_.store.read(name)) << name;
        if (!found) break;
    }
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 2U);
}

TEST_F(Replica, promoted_it_is_a_repository_of_its_own) {
    origin_.open()->add_key(key_of("writer"), {"writer", Role::writer});
    expect_refused(Code::failed, [&] { engine::promote(*open_at(target_), false); });
    copy(target_);
    EXPECT_THROW(open_at(target_, key_of("writer"))->promote(), Error);
    EXPECT_FALSE(target_.find("replica/promoted"));
    {
        const auto replica = open_at(target_);
        EXPECT_TRUE(engine::promote(*replica, false).forgotten.empty());
        EXPECT_EQ(keep(*replica, tree_of(5)).source, "memory");
    }
    keep(tree_of(6));  // the origin was not lost after all
    const std::vector<std::string> names = target_.names();
    expect_refused(Code::denied, [&] { copy(target_); });
    EXPECT_EQ(target_.names(), names);
    const auto promoted = open_at(target_);
    promoted->forget({promoted->snapshots().front().id}, "test");
    prune(*promoted);
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 2U);
    EXPECT_EQ(all_of(read_all(*open_at(target_))), "");
    expect_refused(Code::usage, [&] { engine::promote(*origin_.open(), false); });
    EXPECT_TRUE(engine::promote(*open_at(target_), false).beyond.empty()) << "again, it is done already";
}

// A snapshot may rest on what another signer stored. Where the copy of the logs is cut off between the two, the mark keeps it
// out of sight, and a promotion does not show it either.
TEST_F(Replica, a_copy_that_was_cut_off_shows_nothing_half) {
    origin_.open()->add_key(key_of("second"), {"second", Role::full});
    std::size_t forgotten = 0, beyond = 0;
    for (const bool second_first : {true, false}) {
        const MemoryTree tree{{"/shared", {noise(second_first ? 50 : 51, 80'000), second_first ? 1 : 2}}};
        const auto open_one = [&](bool second) {
            return second ? open_at(origin_.store, key_of("second")) : origin_.open();
        };
        copy(target_);
        keep(*open_one(second_first), tree, "one");
        EXPECT_LT(keep(*open_one(!second_first), tree, "two").bytes.added, 80'000U);
        const MemoryStore::Objects start = target_.objects();
        for (std::uint64_t writes = 1;; ++writes) {
            target_.set_objects(start);
            FaultyStore faulty(target_, origin_.sim);
            faulty.crash_after(writes);
            try {
                copy(faulty);
            } catch (const std::exception&) {
            }
            if (!faulty.crashed()) break;
            expect_shown_is_whole(target_);
            const engine::PromoteReport report = engine::promote(*open_at(target_), false);
            forgotten += report.forgotten.size();
            beyond += report.beyond.size();
            expect_shown_is_whole(target_);
        }
        target_.set_objects(start);
        copy(target_);
    }
    EXPECT_GT(forgotten, 0U) << "the case did not come up";
    EXPECT_GT(beyond, 0U) << "the case did not come up";
}

TEST_F(Replica, of_a_replica_is_one_too) {
    copy(target_);
    MemoryStore third(origin_.sim.clock);
    const auto middle = open_at(target_);
    engine::begin_replica(*middle, third);
    EXPECT_EQ(copy(*middle, third).snapshots.size(), 2U);
    EXPECT_EQ(expect_shown_is_whole(third).size(), 2U);
    keep(tree_of(3));
    EXPECT_EQ(copy(*middle, third).sum().objects, 0U) << "the middle does not have it yet";
    copy(target_);
    EXPECT_EQ(copy(*middle, third).snapshots.size(), 1U);
    EXPECT_EQ(expect_shown_is_whole(third).size(), 3U);
}

TEST_F(Replica, an_open_one_sees_what_arrives) {
    copy(target_);
    const auto replica = open_at(target_);
    keep(tree_of(3));
    copy(target_);
    EXPECT_EQ(replica->snapshots().size(), 2U);
    replica->refresh();
    EXPECT_EQ(replica->snapshots().size(), 3U);
}

TEST_F(Replica, opens_by_the_checkpoint_of_its_origin) {
    for (int version = 3; version < 8; ++version) keep(tree_of(version));
    prune(*origin_.open());
    ASSERT_FALSE(origin_.store.names("index/checkpoint-").empty());
    copy(target_);
    const auto origin = origin_.open(), replica = open_at(target_);
    EXPECT_LT(replica->log().entries_read(), 10U);
    EXPECT_EQ(replica->snapshots().size(), origin->snapshots().size());
    EXPECT_EQ(all_of(read_all(*replica)), "");
    // Without it the logs say the same.
    for (const std::string& checkpoint : target_.names("index/checkpoint-")) target_.remove(checkpoint);
    EXPECT_EQ(open_at(target_)->snapshots().size(), origin->snapshots().size());
}

TEST_F(Replica, journals_go_along_also_when_they_are_put_together_meanwhile) {
    const TemporaryFolder client;
    const auto at = [](std::uint64_t number) {
        return Moment{{"line", number}, static_cast<Nanoseconds>(number) * one_second};
    };
    const auto writing = origin_.open(client.path());
    {
        repo::JournalWriter writer(*writing, "orders");
        writer.begin({.continues = false, .at = at(1), .why = "first"});
        for (std::uint64_t i = 2; i < 60; ++i) writer.append({as_bytes("a record\n"), at(i), 1, false});
        writer.end();
    }
    origin_.open()->add_key(key_of("writer"), {"writer", Role::writer});
    std::size_t asked = 0;
    Watched watched(origin_.store, [&](std::string_view name) {
        if (!name.starts_with("journal/") || asked++ != 20) return;
        repo::Journal journal(*writing, "orders");
        journal.read();
        repo::compact_journal(*writing, journal, {.pack_bytes = 1 << 20, .segments_min = 2, .age = 0});
    });
    const auto from = open_at(watched, key_of("writer"));
    copy(*from, target_);
    EXPECT_GT(asked, 21U);
    const auto replica = open_at(target_);
    repo::Journal there(*replica, "orders");
    there.read();
    ASSERT_EQ(there.runs().size(), 1U);
    EXPECT_EQ(there.runs()[0].to, at(59));
    EXPECT_TRUE(there.damage().empty());

    // A segment that is damaged is not copied, and is told.
    const std::string pack = origin_.store.names("journal/").front();
    target_.remove(pack);
    origin_.flip(pack, origin_.store.read(pack)->size() - 3);
    const ReplicateReport report = copy(target_);
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].object, pack);
    EXPECT_FALSE(target_.find(pack));
}

TEST_F(Replica, follows_its_origin_through_trouble_and_knows_its_lag) {
    FaultyStore faulty(target_, origin_.sim);
    Stop stop;  // of the follower alone
    World world{origin_.sim.clock, origin_.sim.random, stop, origin_.sim.log};
    const auto from = Repository::open(std::make_unique<StoreDecorator>(origin_.store), test_key(), {}, world);
    std::vector<Nanoseconds> lags;
    std::size_t rounds = 0;
    engine::FollowOriginEvents events;
    events.round = [&](const ReplicateReport& report) {
        ++rounds;
        EXPECT_EQ(report.snapshots.size(), rounds == 1 ? 2U : 1U);
        if (rounds == 2) {
            EXPECT_GE(report.lag, 60 * one_second) << "the trouble lasted longer";
            stop.request();
            return;
        }
        keep(tree_of(3));
        faulty.set_faults({.failed_before = 1});
    };
    events.trouble = [&](const Error& error, Nanoseconds lag, Nanoseconds pause) {
        EXPECT_EQ(error.code(), Code::unreachable);
        EXPECT_LE(pause, 60 * one_second);
        lags.push_back(lag);
        if (lags.size() == 8) faulty.set_faults({});
    };
    engine::Progress progress;
    const ReplicateReport all = engine::follow_origin(*from, faulty, {}, events, progress);
    EXPECT_EQ(rounds, 2U);
    EXPECT_EQ(all.snapshots.size(), 3U);
    ASSERT_EQ(lags.size(), 8U);
    EXPECT_GT(lags.front(), 0);
    EXPECT_TRUE(std::ranges::is_sorted(lags));
    EXPECT_EQ(expect_shown_is_whole(target_).size(), 3U);
}

}  // namespace
}  // namespace holdfast::testing_support
