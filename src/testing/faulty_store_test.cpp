#include "testing/faulty_store.h"

#include <gtest/gtest.h>

#include <bit>
#include <thread>
#include <vector>

#include "base/error.h"
#include "testing/memory_store.h"

namespace holdfast {

namespace {

class Faulty : public testing::Test {
protected:
    void with(Faults faults) { store.set_faults(std::move(faults)); }
    template <class Call>
    void expect_unreachable(const Call& call) {
        try {
            call();
            ADD_FAILURE() << "answered";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::unreachable);
        }
    }
    std::vector<std::string> listed() {
        std::vector<std::string> names;
        store.list("", [&](const ObjectInfo& info) { names.push_back(info.name); });
        return names;
    }
    SimWorld sim{1};
    MemoryStore memory{sim.clock};
    FaultyStore store{memory, sim};
};

int bits_that_differ(ByteView a, ByteView b) {
    int bits = 0;
    for (std::size_t i = 0; i < a.size(); ++i) bits += std::popcount(static_cast<unsigned>(a[i] ^ b[i]));
    return bits;
}

}  // namespace

TEST_F(Faulty, a_lost_reply_hides_what_was_done) {
    with({.lost_reply = 1});
    expect_unreachable([&] { store.create("a", as_bytes("x")); });
    EXPECT_TRUE(memory.find("a"));
    expect_unreachable([&] { store.read("a"); });
    expect_unreachable([&] { store.remove("a"); });
    EXPECT_FALSE(memory.find("a"));
    EXPECT_EQ(store.writes(), 2U);
}

TEST_F(Faulty, what_failed_before_was_not_done) {
    memory.create("b", as_bytes("x"));
    with({.failed_before = 1});
    expect_unreachable([&] { store.create("a", as_bytes("x")); });
    expect_unreachable([&] { store.remove("b"); });
    expect_unreachable([&] { store.find("b"); });
    EXPECT_EQ(memory.names(), std::vector<std::string>{"b"});
    EXPECT_EQ(store.writes(), 0U);
}

TEST_F(Faulty, a_torn_upload_leaves_part_of_the_bytes_but_no_object) {
    with({.torn = 1});
    expect_unreachable([&] { store.create("data/a", as_bytes("0123456789")); });
    EXPECT_FALSE(memory.find("data/a"));
    ASSERT_EQ(memory.names("tmp/").size(), 1U);
    EXPECT_TRUE(std::string_view("0123456789").starts_with(as_text(*memory.read(memory.names("tmp/")[0]))));
}

TEST_F(Faulty, what_is_late_lets_time_pass) {
    const Nanoseconds before = sim.clock.now();
    with({.late = 1, .late_max = one_second});
    for (int i = 0; i < 10; ++i) store.find("a");
    EXPECT_GT(sim.clock.now(), before);
    EXPECT_LE(sim.clock.now(), before + 10 * one_second);
}

TEST_F(Faulty, a_stale_listing_is_one_from_before) {
    store.create("old", as_bytes("x"));
    with({.stale_list = 1, .recent_max = 2});
    store.create("a", as_bytes("x"));
    store.remove("old");
    bool was_missed = false;
    bool came_back = false;
    for (int i = 0; i < 100; ++i) {
        const auto names = listed();
        if (names == std::vector<std::string>{"a", "old"}) came_back = true;  // before the remove
        if (names == std::vector<std::string>{"old"}) was_missed = true;      // before the create too
        if (!names.empty()) continue;
        FAIL() << "no moment at which nothing was there";
    }
    EXPECT_TRUE(was_missed);
    EXPECT_TRUE(came_back);
    EXPECT_TRUE(store.find("a"));
    EXPECT_FALSE(store.find("old"));
}

TEST_F(Faulty, a_flipped_object_has_one_wrong_bit_and_only_for_this_reader) {
    const Bytes bytes(1000, 7);
    memory.create("a", bytes);
    with({.flipped = 1});
    EXPECT_EQ(bits_that_differ(*store.read("a"), bytes), 1);
    EXPECT_EQ(bits_that_differ(*store.read_range("a", 10, 20), ByteView(bytes).first(20)), 1);
    EXPECT_TRUE(equal(*memory.read("a"), bytes));
}

TEST_F(Faulty, a_truncated_object_is_shorter) {
    memory.create("a", Bytes(1000, 7));
    with({.truncated = 1});
    EXPECT_LT(store.read("a")->size(), 1000U);
    EXPECT_LT(store.read_range("a", 0, 100)->size(), 100U);
}

TEST_F(Faulty, a_swapped_object_is_another_of_the_same_kind) {
    memory.create("data/a", as_bytes("a"));
    memory.create("data/b", as_bytes("b"));
    memory.create("log/c", as_bytes("c"));
    with({.swapped = 1});
    EXPECT_EQ(as_text(*store.read("data/a")), "b");
    EXPECT_EQ(as_text(*store.read_range("data/b", 0, 5)), "a");
    EXPECT_EQ(as_text(*store.read("log/c")), "c");
}

TEST_F(Faulty, faults_touch_only_what_the_prefix_names) {
    with({.failed_before = 1, .prefix = "data/"});
    store.create("log/a", as_bytes("x"));
    EXPECT_TRUE(store.read("log/a"));
    expect_unreachable([&] { store.create("data/a", as_bytes("x")); });
}

TEST_F(Faulty, a_client_dies_with_its_nth_write_and_all_calls_fail_until_it_is_revived) {
    for (std::uint64_t n = 0; n <= 4; ++n) {
        memory.set_objects({});
        store.crash_after(n);
        std::uint64_t answered = 0;
        try {
            for (; answered < 10; ++answered) store.create("a/" + std::to_string(answered), as_bytes("x"));
        } catch (const SimulatedCrash&) {
        }
        EXPECT_EQ(answered, n == 0 ? 0 : n - 1);
        EXPECT_EQ(memory.names().size(), n);
        EXPECT_TRUE(store.crashed());
        EXPECT_THROW(store.read("a/0"), SimulatedCrash);
        EXPECT_THROW(store.find("a/0"), SimulatedCrash);
        EXPECT_THROW(store.remove("a/0"), SimulatedCrash);
        EXPECT_THROW(listed(), SimulatedCrash);
        EXPECT_THROW(store.bytes_free(), SimulatedCrash);
        FaultyStore other(memory, sim);
        EXPECT_NO_THROW(other.read("a/0"));
        store.revive();
        EXPECT_EQ(store.read("a/0").has_value(), n > 0);
    }
}

TEST_F(Faulty, of_many_threads_none_writes_after_the_death) {
    store.crash_after(20);
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                try {
                    for (int i = 0; i < 100; ++i)
                        store.create(std::to_string(t) + "/" + std::to_string(i), as_bytes("x"));
                } catch (const SimulatedCrash&) {
                }
            });
        }
    }
    EXPECT_EQ(memory.names().size(), 20U);
    EXPECT_EQ(store.writes(), 20U);
}

TEST_F(Faulty, one_seed_gives_one_run) {
    const auto run = [](std::uint64_t seed) {
        SimWorld world(seed);
        MemoryStore objects(world.clock);
        FaultyStore faulty(objects, world,
                           {.lost_reply = 0.3, .failed_before = 0.3, .torn = 0.2, .late = 0.2, .flipped = 0.5});
        std::string out;
        for (int i = 0; i < 50; ++i) {
            try {
                faulty.create("a/" + std::to_string(i % 20), as_bytes("some bytes"));
                out += to_hex(*faulty.read("a/" + std::to_string(i % 20)));
            } catch (const Error& error) {
                out += error.message();
            }
        }
        return out + std::to_string(world.clock.now());
    };
    EXPECT_EQ(run(5), run(5));
    EXPECT_NE(run(5), run(6));
}

TEST(SimWorld, time_passes_only_when_told_to) {
    SimWorld sim(1);
    const Nanoseconds now = sim.clock.now();
    const Nanoseconds steady = sim.clock.steady();
    EXPECT_EQ(sim.clock.now(), now);
    sim.world().clock.sleep(5);
    EXPECT_EQ(sim.clock.now(), now + 5);
    sim.clock.set_now(now - one_second);
    EXPECT_EQ(sim.clock.now(), now - one_second);
    EXPECT_EQ(sim.clock.steady(), steady + 5);
}

TEST(SimWorld, a_seed_decides_what_is_random) {
    SimWorld a(1);
    SimWorld b(1);
    SimWorld c(2);
    const auto first = a.random.array<100>();
    EXPECT_EQ(first, b.random.array<100>());
    EXPECT_NE(first, c.random.array<100>());
    EXPECT_NE(first, a.random.array<100>());
    EXPECT_FALSE(a.random.chance(0));
    EXPECT_TRUE(a.random.chance(1));
}

TEST(SimWorld, the_log_is_kept) {
    SimWorld sim(1);
    sim.world().log.warning("a disk is full");
    EXPECT_TRUE(sim.log.contains("disk"));
    EXPECT_EQ(sim.log.lines().at(0).level, Level::warning);
    sim.log.clear();
    EXPECT_FALSE(sim.log.contains("disk"));
}

}  // namespace holdfast
