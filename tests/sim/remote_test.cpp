// What is done side by side, or ahead of time, where each request is a round trip: with the same results, and nothing twice.
#include <mutex>

#include "base/error.h"
#include "filled_repository.h"
#include "repo/index.h"
#include "repo/log.h"
#include "store/foreseen.h"

namespace holdfast {

using namespace testing_support;

namespace {

// A store far away, that remembers what it was asked for.
class RemoteStore final : public StoreDecorator {
public:
    explicit RemoteStore(Store& inner) : StoreDecorator(inner), traits_(inner.traits()) { traits_.is_remote = true; }
    const StoreTraits& traits() const override { return traits_; }

    std::optional<Bytes> read(std::string_view name) override {
        note(name);
        return StoreDecorator::read(name);
    }
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        note(fmt::format("{} from {}", name, offset));
        return StoreDecorator::read_range(name, offset, bytes);
    }
    std::optional<ObjectInfo> find(std::string_view name) override {
        note(fmt::format("find {}", name));
        return StoreDecorator::find(name);
    }
    std::map<std::string, int> take_asked() {
        const std::lock_guard lock(mutex_);
        return std::exchange(asked_, {});
    }

private:
    void note(std::string_view what) {
        const std::lock_guard lock(mutex_);
        ++asked_[std::string(what)];
    }
    StoreTraits traits_;
    std::mutex mutex_;
    std::map<std::string, int> asked_;  // guarded by mutex_
};

MemoryTree many_files() {
    MemoryTree tree;
    for (int i = 0; i < 5000; ++i)
        tree[fmt::format("/many/{:02}/{:04}", i % 40, i)] = {noise(static_cast<std::uint64_t>(i % 4000), 300)};
    for (std::uint64_t i = 0; i < 6; ++i) tree[fmt::format("/large/{}", i)] = {noise(100 + i % 5, 700'000)};
    tree["/large/holes"] = {"begin", 1, 1'000'000};
    return tree;
}

}  // namespace

TEST(Remote, a_restore_gives_the_same_as_from_a_folder) {
    FilledRepository small;
    RemoteStore remote(small.store);
    const MemoryTree tree = many_files();
    const repo::Snapshot snapshot = small.back_up(*small.open_through(remote), tree);
    const auto there = restored(*small.open_through(remote), snapshot.id);
    EXPECT_EQ(there, contents_of(tree));
    EXPECT_EQ(there, restored(*small.open(), snapshot.id));
    EXPECT_EQ(all_of(read_all(*small.open_through(remote))), "");
}

TEST(Remote, damage_costs_what_it_costs_in_a_folder) {
    FilledRepository small;
    RemoteStore remote(small.store);
    const repo::Snapshot snapshot = small.back_up(many_files());
    for (const std::string& pack : small.store.names("data/")) small.flip(pack, 50'000);
    const auto there = restored(*small.open_through(remote), snapshot.id);
    EXPECT_LT(there.size(), many_files().size());
    EXPECT_GT(there.size(), many_files().size() / 2);
    EXPECT_EQ(there, restored(*small.open(), snapshot.id));
}

TEST(Remote, an_opening_asks_for_nothing_twice) {
    FilledRepository small;
    for (std::uint64_t i = 0; i < 3; ++i) small.back_up({{"/f", {noise(i, 50'000)}}});
    RemoteStore remote(small.store);
    for (int day = 0; day < 2; ++day) {  // without a checkpoint, and with one
        const auto repository = small.open_through(remote);
        EXPECT_EQ(repository->snapshots().size(), 3U);
        for (const auto& [what, times] : remote.take_asked()) EXPECT_EQ(times, 1) << what;
        small.sim.clock.advance(24 * 3600 * one_second);
        engine::Progress progress;
        engine::prune(*small.open(), {.checkpoint_entries = 1}, progress);
        remote.take_asked();
    }
}

TEST(Remote, each_reading_of_the_logs_sees_them_as_they_are) {
    FilledRepository small;
    small.back_up({{"/f", {"1"}}});
    RemoteStore remote(small.store);
    const auto reader = small.open_through(remote);
    const repo::Unlock other = test_key("another key file of at least 32 bytes");
    small.open()->add_key(other, {"second"});
    reader->log().read();  // its lane is empty yet
    const auto writer = repo::Repository::open(std::make_unique<StoreDecorator>(static_cast<Store&>(small.store)),
                                               other, {""}, small.sim.world());
    for (int i = 1; i <= 6; ++i) {
        small.back_up(*writer, {{"/f", {noise(static_cast<std::uint64_t>(i), 1000)}}});
        reader->log().read();
        EXPECT_EQ(reader->log().snapshots().size(), 1U + static_cast<std::size_t>(i));
    }
}

TEST(Remote, what_was_foreseen_is_taken_once_and_is_forgotten_in_time) {
    SimWorld sim{1};
    MemoryStore memory{sim.clock};
    RemoteStore remote(memory);
    ForeseenStore store(std::make_unique<StoreDecorator>(static_cast<Store&>(remote)));
    memory.create("a", as_bytes("1"));
    store.foresee({{"a", "absent"}, {"a"}});
    EXPECT_EQ(as_text(*store.read("a")), "1");
    EXPECT_FALSE(store.read("absent"));
    EXPECT_EQ(store.find("a")->bytes, 1U);
    EXPECT_EQ(remote.take_asked(), (std::map<std::string, int>{{"a", 1}, {"absent", 1}, {"find a", 1}}));

    memory.create("absent", as_bytes("no longer"));
    EXPECT_EQ(as_text(*store.read("absent")), "no longer") << "the second time it is asked for anew";
    {
        const Foresight short_sighted(store);
        store.foresee({{"b"}});
    }
    memory.create("b", as_bytes("2"));
    EXPECT_EQ(as_text(*store.read("b")), "2") << "what was foreseen before is forgotten";
}

TEST(Remote, what_fails_ahead_of_time_fails_where_it_is_taken) {
    SimWorld sim{1};
    MemoryStore memory{sim.clock};
    class Refusing final : public StoreDecorator {
    public:
        explicit Refusing(Store& inner) : StoreDecorator(inner) {}
        std::optional<Bytes> read(std::string_view) override { throw Error{Code::denied, "not for you"}; }
    } refusing(memory);
    ForeseenStore store(std::make_unique<RemoteStore>(refusing));
    memory.create("a", as_bytes("1"));
    store.foresee({{"a", "b"}});
    EXPECT_EQ(store.find("a")->bytes, 1U);
    EXPECT_THROW(store.read("a"), Error);
}

}  // namespace holdfast
