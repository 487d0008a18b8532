// A repository's life on stores that fail. First it ends after each of its writes, and somebody else goes on; then
// seeds choose what the store loses, delays, repeats and makes up.
//
// Limits   HOLDFAST_SIM_SCALE multiplies the seeds
#include <cstdlib>

#include "base/file.h"
#include "life.h"
#include "store/retry.h"
#include "testing/faulty_store.h"

namespace holdfast::testing_support {
namespace {

std::uint64_t scale() {
    const char* text = std::getenv("HOLDFAST_SIM_SCALE");
    return text == nullptr ? 1 : std::max(1ULL, std::strtoull(text, nullptr, 10));
}

constexpr Nanoseconds a_day = 25 * 3600 * one_second;

// How those who come after a dead process learn that it is dead.
enum class Wake { lock_file, unlock, silence };

// Everything that a user would do the day after.
void go_on(FilledRepository& small, Life life, const std::string& clients_folder, Wake wake) {
    if (wake == Wake::lock_file && life.somebody_died_elsewhere()) wake = Wake::silence;
    // The lock files of the dead are in the folder of their client; elsewhere nobody sees them.
    const std::string folder = clients_folder + (wake == Wake::lock_file ? "/first" : "/second");
    Client client{small, small.store, wake == Wake::unlock ? "" : folder};
    life.expect_kept(client);
    life.back_up(client, "orders", 4);
    expect_space_comes_back(client, [&] {
        if (wake == Wake::silence) small.sim.clock.advance(a_day);
        if (wake == Wake::unlock) life.unlock(client);
    });
    life.back_up(client, "orders", 4);  // nothing changed: it reuses what the collections left
    life.expect_kept(client);
}

// True when the step came to its end before the crash.
bool run_until_crash(const Life::Step& step, Life& life, FilledRepository& small, const std::string& folder,
                     std::uint64_t writes) {
    FaultyStore store(small.store, small.sim);
    Client client{small, store, folder};
    store.crash_after(writes);
    try {
        step.run(life, client);
    } catch (const std::exception& error) {
        EXPECT_TRUE(store.crashed()) << error.what();
    }
    return !store.crashed();
}

TEST(RepositorySim, a_process_may_die_after_any_write) {
    FilledRepository small(1, small_sizes);
    Life life;
    std::uint64_t crashes = 0;
    for (const Life::Step& step : Life::steps()) {
        const MemoryStore::Objects before = small.store.objects();
        const Life life_before = life;
        Client client{small, small.store, ""};
        step.run(life, client);
        const MemoryStore::Objects after = small.store.objects();
        bool ended = false;
        for (std::uint64_t writes = 0; !ended; ++writes, ++crashes) {
            SCOPED_TRACE(fmt::format("dead after write {} of \"{}\"", writes, step.name));
            small.store.set_objects(before);
            Life cut = life_before;
            const TemporaryFolder clients;
            ended = run_until_crash(step, cut, small, clients.path() + "/first", writes);
            ASSERT_NO_THROW(go_on(small, cut, clients.path(), static_cast<Wake>(crashes % 3)));
            if (::testing::Test::HasFailure()) return;
        }
        small.store.set_objects(after);
    }
    EXPECT_GT(crashes, 100U);
    Client client{small, small.store, ""};
    life.expect_kept(client);
}

// Also an init may die; what it leaves opens, or says what to do.
TEST(RepositorySim, an_init_that_died_leaves_a_repository_or_says_so) {
    for (std::uint64_t writes = 0;; ++writes) {
        SimWorld sim(1);
        MemoryStore objects(sim.clock);
        FaultyStore store(objects, sim);
        store.crash_after(writes);
        try {
            repo::Repository::init(store, test_key(), {}, sim.world());
        } catch (const std::exception&) {
            ASSERT_TRUE(store.crashed());
        }
        try {
            const auto repository =
                repo::Repository::open(std::make_unique<StoreDecorator>(objects), test_key(), {}, sim.world());
            const MemoryTree tree{{"/a", {"a"}}};
            MemorySource source(tree);
            engine::Progress progress;
            engine::back_up(source, *repository, {}, progress);
        } catch (const Error& error) {
            EXPECT_THAT(error.hint(), ::testing::HasSubstr("init")) << error.message() << " after write " << writes;
        }
        if (!store.crashed()) break;
    }
}

// One life on one store. A step that fails is tried again, as a schedule would; what it promised counts at once.
class Weather {
public:
    Weather(std::uint64_t seed, const Faults& faults) : small_(seed, small_sizes), store_(small_.store, small_.sim) {
        store_.set_faults(faults);
    }
    // The number of tries that failed.
    std::uint64_t live(Store& seen) {
        std::uint64_t failed = 0;
        Client client{small_, seen, ""};
        for (const Life::Step& step : Life::steps()) {
            bool done = false;
            for (int tries = 0; !done && tries < 40; ++tries) {
                try {
                    step.run(life_, client);
                    done = true;
                } catch (const Error& error) {
                    EXPECT_NE(error.code(), Code::internal) << step.name << ": " << error.message();
                    ++failed;
                }
                if (step.name == "a backup that dies") break;
            }
        }
        return failed;
    }
    void expect_kept_in_fair_weather() {
        Client client{small_, small_.store, ""};
        life_.expect_kept(client);
        expect_space_comes_back(client, [&] { life_.unlock(client); });
        life_.expect_kept(client, {.read_data = true, .share = {}, .bytes_max = {}});
    }
    Store& store() { return store_; }
    SimWorld& sim() { return small_.sim; }

private:
    FilledRepository small_;
    FaultyStore store_;
    Life life_;
};

TEST(RepositorySim, retries_outlast_lost_replies_torn_uploads_delays_and_stale_listings) {
    for (std::uint64_t seed = 1; seed <= 4 * scale(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Weather weather(seed, {.lost_reply = 0.1,
                               .failed_before = 0.1,
                               .torn = 0.1,
                               .late = 0.1,
                               .late_max = one_second,
                               .stale_list = 0.3});
        RetryingStore seen(std::make_unique<StoreDecorator>(weather.store()), weather.sim().world());
        EXPECT_EQ(weather.live(seen), 0U);
        weather.expect_kept_in_fair_weather();
        if (::testing::Test::HasFailure()) return;
    }
}

TEST(RepositorySim, without_retries_failures_end_a_verb_and_harm_nothing) {
    std::uint64_t failed = 0;
    for (std::uint64_t seed = 1; seed <= 4 * scale(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Weather weather(seed, {.lost_reply = 0.01,
                               .failed_before = 0.01,
                               .torn = 0.02,
                               .late = 0.1,
                               .late_max = 200 * one_second,
                               .stale_list = 0.3});
        failed += weather.live(weather.store());
        weather.expect_kept_in_fair_weather();
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(failed, 3U);
}

TEST(RepositorySim, what_a_lying_store_gives_is_never_passed_on) {
    // Which read is hit depends on the threads: about two and a half tries of a life fail.
    std::uint64_t failed = 0;
    for (std::uint64_t seed = 1; seed <= 10 * scale(); ++seed) {
        SCOPED_TRACE(fmt::format("seed {}", seed));
        Weather weather(seed, {.flipped = 0.01, .truncated = 0.005, .swapped = 0.005});
        failed += weather.live(weather.store());
        weather.expect_kept_in_fair_weather();
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(failed, 3U);
}

}  // namespace
}  // namespace holdfast::testing_support
