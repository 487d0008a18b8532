// A hundred backups at once in one repository, with a collector and somebody who forgets. A seed says whose turn it is at
// each call of the store.
//
// Limits   HOLDFAST_SIM_SCALE multiplies the seeds
#include <condition_variable>
#include <cstdlib>
#include <thread>

#include "life.h"
#include "repo/log.h"

namespace holdfast::testing_support {
namespace {

using repo::Repository;
using repo::Role;

// Whoever has it may ask the store; all others wait in their next call.
class Baton {
public:
    // The last client gets it as often as a third of the others together.
    Baton(std::uint64_t seed, std::size_t clients) : random_(seed), turns_(clients), is_running_(clients, true) {}

    void wait(std::size_t client) {
        std::unique_lock lock(mutex_);
        turns_[client].wait(lock, [&] { return holder_ == client; });
    }
    // After each call it may go to anybody.
    void may_pass(std::size_t client) {
        const std::lock_guard lock(mutex_);
        if (holder_ == client && random_.chance(0.3)) pass();
    }
    void leave(std::size_t client) {
        const std::lock_guard lock(mutex_);
        is_running_[client] = false;
        if (holder_ == client) pass();
    }

private:
    void pass() {
        std::vector<std::size_t> running;
        for (std::size_t i = 0; i < is_running_.size(); ++i)
            if (is_running_[i]) running.push_back(i);
        if (running.empty()) return;
        const bool is_last = random_.chance(0.25) && is_running_.back();
        holder_ = is_last ? is_running_.size() - 1 : running[random_.below(running.size())];
        turns_[holder_].notify_all();
    }

    std::mutex mutex_;
    // guarded by mutex_
    SimRandom random_;
    std::vector<std::condition_variable> turns_;
    std::vector<bool> is_running_;
    std::size_t holder_ = 0;
};

class TakingTurns final : public StoreDecorator {
public:
    TakingTurns(Store& inner, Baton& baton, std::size_t client)
        : StoreDecorator(inner), baton_(baton), client_(client) {}

    Created create(std::string_view name, ByteView bytes) override {
        const Turn turn(*this);
        return StoreDecorator::create(name, bytes);
    }
    std::optional<Bytes> read(std::string_view name) override {
        const Turn turn(*this);
        return StoreDecorator::read(name);
    }
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        const Turn turn(*this);
        return StoreDecorator::read_range(name, offset, bytes);
    }
    std::optional<ObjectInfo> find(std::string_view name) override {
        const Turn turn(*this);
        return StoreDecorator::find(name);
    }
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override {
        const Turn turn(*this);
        StoreDecorator::list(prefix, each);
    }
    void remove(std::string_view name) override {
        const Turn turn(*this);
        StoreDecorator::remove(name);
    }

private:
    struct Turn {
        explicit Turn(TakingTurns& of) : of_(of) { of_.baton_.wait(of_.client_); }
        ~Turn() { of_.baton_.may_pass(of_.client_); }
        TakingTurns& of_;
    };
    Baton& baton_;
    const std::size_t client_;
};

repo::Unlock key_of(std::size_t number) { return test_key(fmt::format("writer {}{}", number, std::string(32, '.'))); }

// A third is everybody's, a third is that of those with the same key, a third is its own.
MemoryTree tree_of_writer(std::size_t writer, std::size_t keys, int version) {
    const auto number = static_cast<std::uint64_t>(writer);
    return {{"/all", {noise(1, 9'000)}},
            {"/key", {noise(1'000 + number % keys, 9'000)}},
            {"/own", {noise(2'000 + 2 * number + static_cast<std::uint64_t>(version), 9'000), version}}};
}

struct Made {
    repo::SnapshotId id;
    MemoryTree tree;
};

class Crowd {
public:
    static constexpr std::size_t writers = 100, keys = 20, collector = writers;

    explicit Crowd(std::uint64_t seed) : small_(seed, small_sizes), baton_(seed, writers + 1), made_(writers) {
        for (std::size_t i = 0; i < keys; ++i)
            small_.open()->add_key(key_of(i), {fmt::format("writer {}", i), i % 2 == 0 ? Role::writer : Role::full});
        // Something to collect, of which all write a part anew.
        const repo::Snapshot before =
            small_.back_up({{"/all", {noise(1, 9'000)}}, {"/gone", {noise(5, 90'000)}}}, "before");
        small_.back_up({{"/other", {noise(6, 9'000)}}}, "before");
        engine::forget(*small_.open(), {.ids = {before.id}, .keep = {}, .policies = {}, .source = {}});
    }

    void live() {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < writers; ++i) threads.emplace_back([this, i] { be(i, [&] { write(i); }); });
        threads.emplace_back([this] { be(collector, [&] { collect(); }); });
        for (std::thread& thread : threads) thread.join();
    }

    void expect_all_kept() {
        engine::Progress progress;
        keep_newest(*small_.open());
        engine::prune(*small_.open(), {}, progress);
        const auto repository = small_.open();
        EXPECT_EQ(repository->snapshots().size(), 1 + writers);
        for (const std::optional<Made>& made : made_) {
            ASSERT_TRUE(made);
            EXPECT_TRUE(restored(*repository, made->id) == contents_of(made->tree));
        }
        EXPECT_EQ(all_of(read_all(*repository)), "");
        EXPECT_GT(collections_, 1U);
    }

private:
    void be(std::size_t client, const std::function<void()>& work) {
        try {
            work();
        } catch (const std::exception& error) {
            ADD_FAILURE() << (client == collector ? "collector" : fmt::format("writer {}", client)) << ": "
                          << error.what();
        }
        baton_.leave(client);
        ++done_;
    }
    std::unique_ptr<Repository> open(std::size_t client) {
        return Repository::open(std::make_unique<TakingTurns>(small_.store, baton_, client),
                                client == collector ? test_key() : key_of(client % keys), {}, small_.sim.world());
    }
    void write(std::size_t writer) {
        const int versions = writer % 5 == 0 ? 2 : 1;
        for (int version = 0; version < versions; ++version) {
            small_.sim.clock.advance(one_second);
            const MemoryTree tree = tree_of_writer(writer, keys, version);
            MemorySource from(tree, fmt::format("source {}", writer));
            engine::Progress progress;
            const auto repository = open(writer);
            made_[writer] = {engine::back_up(from, *repository, {{}, "host", false, false}, progress).snapshot.id,
                             tree};
        }
    }
    // That of each source, which is the one that its writer was told last.
    static void keep_newest(Repository& repository) {
        engine::forget(repository, {.ids = {}, .keep = policy::Retention{.last = 1}, .policies = {}, .source = {}});
    }
    void collect() {
        do {
            const auto repository = open(collector);
            keep_newest(*repository);
            engine::Progress progress;
            engine::prune(*repository, {.checkpoint_entries = 50}, progress);
            ++collections_;
            small_.sim.clock.advance(86400 * one_second);  // each leaves a checkpoint of its own
        } while (done_ < writers);
    }

    FilledRepository small_;
    Baton baton_;
    std::vector<std::optional<Made>> made_;
    std::atomic<std::size_t> done_{0};
    std::size_t collections_ = 0;
};

TEST(ManyWriters, a_hundred_at_once_and_a_collector_lose_nothing) {
    const char* text = std::getenv("HOLDFAST_SIM_SCALE");
    const std::uint64_t scale = text == nullptr ? 1 : std::max(1ULL, std::strtoull(text, nullptr, 10));
    for (std::uint64_t seed = 1; seed <= scale; ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Crowd crowd(seed);
        crowd.live();
        crowd.expect_all_kept();
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace holdfast::testing_support
