#include "base/file.h"
#include "filled_repository.h"
#include "repo/index.h"
#include "repo/log.h"
#include "repo/notes.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {
namespace {

using engine::CheckReport;
using repo::Repository;

MemoryTree two_files() { return {{"/a/large", {noise(1, 300'000)}}, {"/a/small", {noise(2, 2'000)}}}; }

std::string the_pack(const FilledRepository& small, const std::string& prefix) {
    const auto names = small.store.names(prefix);
    EXPECT_FALSE(names.empty());
    return names.front();
}

TEST(Check, finds_nothing_in_a_sound_repository) {
    FilledRepository small;
    small.back_up(two_files());
    small.back_up({{"/a/large", {noise(3, 300'000), 2}}, {"/b", {}}});
    const auto repository = small.open();
    EXPECT_EQ(all_of(check(*repository)), "");
    const CheckReport report = read_all(*repository);
    EXPECT_EQ(all_of(report), "");
    EXPECT_EQ(report.snapshots, 2U);
    EXPECT_EQ(report.packs, small.store.names("data/").size() + small.store.names("meta/").size() +
                                small.store.names("state/").size());
    EXPECT_GT(report.chunks, 4U);
    EXPECT_GT(report.bytes, 602'000U);
}

TEST(Check, finds_every_flipped_byte_of_every_pack) {
    FilledRepository small;
    small.back_up({{"/a", {noise(1, 700)}}, {"/b", {noise(2, 70'000)}}});
    const auto repository = small.open();
    for (const std::string prefix : {"data/", "meta/", "state/"}) {
        for (const std::string& pack : small.store.names(prefix)) {
            const MemoryStore::Objects whole = small.store.objects();
            const std::size_t size = whole.at(pack).bytes->size();
            // Headers byte by byte, the rest here and there.
            for (std::size_t at = 0; at < size; at += at < 400 ? 1 : 997) {
                small.flip(pack, at);
                const CheckReport report = read_all(*repository);
                ASSERT_EQ(report.errors.size(), 1U) << pack << " at " << at << "\n" << all_of(report);
                ASSERT_EQ(report.errors[0].object, pack);
                small.store.set_objects(whole);
            }
        }
    }
}

TEST(Check, says_what_a_damaged_chunk_costs) {
    FilledRepository small;
    const repo::Snapshot snapshot = small.back_up(two_files());
    const std::string pack = the_pack(small, "data/");
    // The end of the pack is padding, the large file's chunks come first.
    small.flip(pack, 50'000);
    const auto repository = small.open();
    const CheckReport report = read_all(*repository);
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].kind, "damaged");
    EXPECT_THAT(report.errors[0].effect,
                ::testing::HasSubstr("snapshot " + snapshot.id.short_hex() + ": 1 item cannot be restored: /a/large"));
    EXPECT_EQ(all_of(check(*repository)), "") << "without reading the data nothing can be known of it";
}

TEST(Check, what_a_store_that_answers_cannot_read_is_damage_and_costs_only_that) {
    const MemoryTree tree{{"/a/large", {noise(1, 300'000)}}, {"/a/small", {noise(2, 2'000)}}};
    FilledRepository small{1, {.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}};
    const repo::Snapshot snapshot = small.back_up(tree);
    FaultyStore faulty(small.store, small.sim);
    const auto repository = small.open_through(faulty);
    for (const std::string prefix : {"data/", "meta/"}) {
        for (const std::string& pack : small.store.names(prefix)) {
            SCOPED_TRACE(pack);
            faulty.set_faults({.failed_before = 1, .prefix = pack});
            const CheckReport report = read_all(*repository);
            ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
            EXPECT_EQ(report.errors[0].object, pack);
            EXPECT_EQ(report.errors[0].kind, "unreadable");
            EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("snapshot " + snapshot.id.short_hex()));
            if (prefix == "data/") {
                EXPECT_LT(restored(*repository, snapshot.id).size(), 2U);
            }
            faulty.set_faults({.failed_before = 1});
            try {
                read_all(*repository);
                ADD_FAILURE() << "a store that is away is called damaged or whole";
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Code::unreachable) << error.message();
            }
        }
    }
}

// Whatever went wrong before: a collection took what a snapshot needs.
TEST(Check, finds_a_pack_that_was_collected_though_a_snapshot_needs_it) {
    FilledRepository small;
    const repo::Snapshot snapshot = small.back_up(two_files());
    const std::string pack = the_pack(small, "data/");
    {
        const auto full = small.open();
        const auto sign = [&](repo::SignedKind kind, ByteView payload) {
            return repo::sign(kind, full->id(), full->keys().secrets().signer, payload);
        };
        Bytes condemned{1, 1, static_cast<std::uint8_t>(repo::PackKind::data)};
        append(condemned, from_hex(pack.substr(5)).value());
        small.store.create(repo::names::condemned(1), sign(repo::SignedKind::condemned, condemned));
        small.store.create(repo::names::verdict(1), sign(repo::SignedKind::verdict, Bytes{1, 0}));
        full->log().stamp_lane({full->keys().own_id(), 0}, 1);
    }
    EXPECT_EQ(all_of(check(*small.open())), "") << "it is still there";
    small.store.remove(pack);
    for (const CheckReport& report : {check(*small.open()), read_all(*small.open())}) {
        ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
        EXPECT_EQ(report.errors[0].object, pack);
        EXPECT_EQ(report.errors[0].kind, "missing");
        EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("snapshot " + snapshot.id.short_hex()));
    }
}

// A prune that has decided what goes when a check begins, and deletes it while that reads.
TEST(Check, what_a_prune_deletes_meanwhile_is_not_missing) {
    class Deleting final : public StoreDecorator {
    public:
        Deleting(MemoryStore& inner, std::vector<std::string> packs)
            : StoreDecorator(inner), packs_(std::move(packs)) {}
        std::optional<Bytes> read(std::string_view name) override {
            if (std::ranges::find(packs_, name) != packs_.end())
                for (const std::string& pack : std::exchange(packs_, {})) inner().remove(pack);
            return StoreDecorator::read(name);
        }

    private:
        std::vector<std::string> packs_;
    };
    FilledRepository small;
    const repo::Snapshot gone = small.back_up({{"/a", {noise(1, 300'000)}}});
    small.back_up({{"/b", {noise(2, 300'000)}}});
    small.open()->forget({gone.id}, "test");
    const MemoryStore::Objects before = small.store.objects();
    engine::Progress progress;
    ASSERT_GT(engine::prune(*small.open(), {}, progress).packs_deleted, 0U);
    MemoryStore::Objects decided = small.store.objects();
    std::vector<std::string> deleted;
    for (const auto& [name, object] : before)
        if (decided.emplace(name, object).second) deleted.push_back(name);
    small.store.set_objects(decided);
    Deleting store(small.store, deleted);
    const auto repository = small.open_through(store);
    EXPECT_EQ(all_of(read_all(*repository)), "");
    for (const std::string& name : deleted) EXPECT_FALSE(small.store.find(name)) << name;
}

TEST(Check, finds_missing_truncated_and_swapped_packs) {
    FilledRepository small;
    const repo::Snapshot first = small.back_up(two_files());
    small.back_up({{"/other", {noise(7, 300'000)}}}, "second");
    const auto packs = small.store.names("data/");
    ASSERT_EQ(packs.size(), 2U);
    const MemoryStore::Objects whole = small.store.objects();
    const auto repository = small.open();

    small.store.remove(packs[0]);
    CheckReport report = check(*repository);
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].object, packs[0]);
    EXPECT_EQ(report.errors[0].kind, "missing");
    EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("cannot be restored"));
    small.store.set_objects(whole);

    Bytes bytes = *small.store.read(packs[0]);
    bytes.resize(bytes.size() / 2);
    small.store.overwrite(packs[0], bytes);
    EXPECT_EQ(check(*repository).errors.size(), 1U);
    small.store.set_objects(whole);

    const Bytes zero = *small.store.read(packs[0]), one = *small.store.read(packs[1]);
    small.store.overwrite(packs[0], one);
    small.store.overwrite(packs[1], zero);
    report = read_all(*repository);
    EXPECT_EQ(report.errors.size(), 2U) << all_of(report);
}

TEST(Check, names_what_lies_below_a_node_that_is_gone) {
    FilledRepository small;
    small.back_up(two_files());
    small.store.remove(the_pack(small, "meta/"));
    const CheckReport report = check(*small.open());
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("4 items cannot be restored"));
}

TEST(Check, lost_state_costs_time_only) {
    FilledRepository small;
    small.back_up(two_files());
    small.store.remove(the_pack(small, "state/"));
    const CheckReport report = check(*small.open());
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("nothing is lost"));
    EXPECT_EQ(restored(*small.open(), small.open()->snapshots()[0].id), contents_of(two_files()));
}

TEST(Check, damage_costs_nothing_while_another_place_has_the_chunk) {
    FilledRepository small;
    const auto one = small.open(), two = small.open();
    const repo::Snapshot first = small.back_up(*one, two_files());
    small.back_up(*two, two_files());  // it does not know of the other's chunks and stores them again
    ASSERT_EQ(small.store.names("data/").size(), 2U);
    small.flip(the_pack(small, "data/"), 50'000);
    const auto repository = small.open();
    const CheckReport report = read_all(*repository);
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_THAT(report.errors[0].effect, ::testing::HasSubstr("no snapshot loses anything by it"));
    EXPECT_EQ(restored(*repository, first.id), contents_of(two_files()));
}

TEST(Check, finds_a_gap_in_a_log_and_among_notes) {
    FilledRepository small;
    const repo::Snapshot snapshot = small.back_up(two_files());
    small.back_up({{"/b", {"b"}}}, "other");
    small.open()->notes().append(snapshot.id, repo::NoteKind::tag, 1, "a=b");
    const MemoryStore::Objects whole = small.store.objects();
    const std::string log = repo::names::log_entry(small.open()->keys().own_id(), 0, 4);
    ASSERT_TRUE(small.store.find(log));
    small.store.remove(log);
    CheckReport report = check(*small.open());
    EXPECT_THAT(all_of(report), ::testing::HasSubstr(log + ": missing"));

    small.store.set_objects(whole);
    small.store.remove(repo::names::note(snapshot.id, 0));
    report = check(*small.open());
    ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
    EXPECT_EQ(report.errors[0].object, repo::names::note(snapshot.id, 0));

    small.store.set_objects(whole);
    EXPECT_EQ(all_of(check(*small.open())), "");
}

TEST(Check, finds_a_snapshot_whose_commit_is_gone_by_its_notes) {
    FilledRepository small;
    const repo::Snapshot snapshot = small.back_up(two_files());
    const auto names = small.store.names("log/" + small.open()->keys().own_id().hex());
    small.store.remove(names.back());
    EXPECT_THAT(all_of(check(*small.open())), ::testing::HasSubstr("snapshot " + snapshot.id.hex() + ": missing"));
}

TEST(Check, a_damaged_key_slot_is_told_and_does_not_lock_out_others) {
    FilledRepository small;
    small.back_up(two_files());
    small.open()->add_key({repo::Unlock::Way::keyfile, Secret(as_bytes("another key file of at least 32 bytes"))},
                          {"second"});
    const auto slots = small.store.names("keys/");
    ASSERT_EQ(slots.size(), 2U);
    const std::string own = small.open()->keys().own_id().hex();
    const std::string& other = slots[0].find(own) == std::string::npos ? slots[0] : slots[1];
    small.flip(other, 60);
    const CheckReport report = check(*small.open());
    ASSERT_EQ(report.errors.size(), 1U) << all_of(report);
    EXPECT_EQ(report.errors[0].object, other);
}

TEST(Check, a_share_is_read_in_full_and_what_was_read_least_recently_comes_first) {
    FilledRepository small;
    for (std::uint64_t i = 0; i < 4; ++i) small.back_up({{"/f", {noise(i, 100'000)}}}, fmt::format("source {}", i));
    const TemporaryFolder folder;
    const auto repository = small.open(folder.path());
    std::uint64_t total = 0, largest = 0;
    for (const auto& fragment : repository->index().fragments())
        for (const auto& pack : fragment->packs()) {
            total += pack.bytes;
            largest = std::max<std::uint64_t>(largest, pack.bytes);
        }
    const std::uint64_t share = total * 2 / 5;
    for (int i = 0; i < 3; ++i) {
        small.sim.clock.advance(one_second);
        engine::Progress progress;
        engine::check(*repository, {true, 0.4, {}}, progress);
        EXPECT_GE(progress.bytes_total, share);
        EXPECT_LT(progress.bytes_total, share + 1 + largest);
    }
    // Three times two fifths are all of it, wherever the damage lies and whoever was read last.
    small.flip(the_pack(small, "data/"), 40'000);
    bool found = false;
    for (int i = 0; i < 3 && !found; ++i) {
        small.sim.clock.advance(one_second);
        found = !check(*repository, {true, 0.4, {}}).errors.empty();
    }
    EXPECT_TRUE(found);
}

TEST(Check, a_store_that_does_not_answer_is_not_damaged) {
    FilledRepository small;
    small.back_up(two_files());
    class Silent final : public StoreDecorator {
    public:
        explicit Silent(Store& inner) : StoreDecorator(inner) {}
        bool silent = false;
        std::optional<Bytes> read(std::string_view name) override {
            if (silent && name.starts_with("data/")) throw Error{Code::unreachable, "no answer"};
            return StoreDecorator::read(name);
        }
        std::optional<ObjectInfo> find(std::string_view name) override {
            if (silent && !one_object) throw Error{Code::unreachable, "no answer"};
            return StoreDecorator::find(name);
        }
        bool one_object = false;
    };
    auto owned = std::make_unique<Silent>(small.store);
    Silent& store = *owned;
    const auto repository = Repository::open(std::move(owned), test_key(), {""}, small.sim.world());
    store.silent = true;
    try {
        read_all(*repository);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unreachable);
    }
    store.one_object = true;
    const CheckReport report = read_all(*repository);
    ASSERT_EQ(report.errors.size(), 1U);
    EXPECT_EQ(report.errors[0].kind, "unreadable");
}

}  // namespace
}  // namespace holdfast::testing_support
