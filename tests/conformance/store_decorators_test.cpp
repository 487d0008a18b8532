// What decorators of a store add to it; that they keep its promises is in store_test.cpp.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>
#include <vector>

#include "base/error.h"
#include "store/limit.h"
#include "store/measure.h"
#include "store/retry.h"
#include "testing/faulty_store.h"
#include "testing/memory_store.h"

namespace holdfast {

namespace {

// Throws at the first `failures` calls: before doing anything, or when all is done.
class FailingStore final : public StoreDecorator {
    // Here since its type must be known to those who return what it does.
    template <class Call>
    auto call(const Call& call) {
        const bool fails = failures_-- > 0;
        if (fails && when_ == When::before) fail();
        auto result = call();
        if (fails) fail();
        return result;
    }
    [[noreturn]] void fail() const { throw Error{code_, "no answer"}; }

public:
    enum class When : std::uint8_t { before, after };
    FailingStore(Store& inner, int failures, When when, Code code = Code::unreachable)
        : StoreDecorator(inner), failures_(failures), when_(when), code_(code) {}

    Created create(std::string_view name, ByteView bytes) override {
        return call([&] { return inner().create(name, bytes); });
    }
    std::optional<Bytes> read(std::string_view name) override {
        return call([&] { return inner().read(name); });
    }
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        return call([&] { return inner().read_range(name, offset, bytes); });
    }
    std::optional<ObjectInfo> find(std::string_view name) override {
        return call([&] { return inner().find(name); });
    }
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override {
        call([&] { return inner().list(prefix, each), true; });
    }
    void remove(std::string_view name) override {
        call([&] { return inner().remove(name), true; });
    }

private:
    int failures_;
    const When when_;
    const Code code_;
};

using When = FailingStore::When;

class Retrying : public testing::Test {
protected:
    RetryingStore over_failures(int failures, When when, Code code = Code::unreachable) {
        return RetryingStore(std::make_unique<FailingStore>(memory, failures, when, code), sim.world());
    }
    double seconds_passed() const {
        return static_cast<double>(sim.clock.steady() - began) / static_cast<double>(one_second);
    }
    SimWorld sim{1};
    MemoryStore memory{sim.clock};
    const Nanoseconds began = sim.clock.steady();
};

class Limiting : public Retrying {};

}  // namespace

TEST_F(Retrying, every_verb_is_asked_again_until_it_answers) {
    for (const When when : {When::before, When::after}) {
        EXPECT_EQ(over_failures(3, when).create("a/1", as_bytes("one")), Created::created);
        EXPECT_EQ(as_text(*over_failures(3, when).read("a/1")), "one");
        EXPECT_EQ(as_text(*over_failures(3, when).read_range("a/1", 1, 1)), "n");
        EXPECT_EQ(over_failures(3, when).find("a/1")->bytes, 3U);
        over_failures(3, when).remove("a/1");
        EXPECT_TRUE(memory.names().empty());
    }
}

TEST_F(Retrying, a_store_that_never_answered_is_given_up_sooner) {
    class Silent final : public StoreDecorator {
    public:
        using StoreDecorator::StoreDecorator;
        std::optional<Bytes> read(std::string_view) override { throw Error{Code::unreachable, "no answer"}; }
    };
    RetryingStore store(std::make_unique<Silent>(memory), sim.world(),
                        {.total = 60 * one_second, .before_answer = 5 * one_second});
    EXPECT_THROW(store.read("a"), Error);
    EXPECT_GT(seconds_passed(), 2);
    EXPECT_LE(seconds_passed(), 5);
    EXPECT_FALSE(store.find("a"));
    EXPECT_THROW(store.read("a"), Error);
    EXPECT_GT(seconds_passed(), 40) << "it has answered once";
}

TEST_F(Retrying, a_listing_that_broke_is_told_once) {
    memory.create("a/1", as_bytes("x"));
    memory.create("a/2", as_bytes("x"));
    std::vector<std::string> names;
    over_failures(2, When::after).list("a/", [&](const ObjectInfo& info) { names.push_back(info.name); });
    EXPECT_EQ(names, (std::vector<std::string>{"a/1", "a/2"}));
}

TEST_F(Retrying, after_a_lost_reply_own_bytes_count_as_created) {
    EXPECT_EQ(over_failures(1, When::after).create("a", as_bytes("mine")), Created::created);
    EXPECT_EQ(as_text(*memory.read("a")), "mine");
}

TEST_F(Retrying, after_a_lost_reply_the_bytes_of_another_count_as_exists) {
    memory.create("a", as_bytes("theirs"));
    EXPECT_EQ(over_failures(1, When::after).create("a", as_bytes("mine")), Created::exists);
    EXPECT_EQ(over_failures(1, When::before).create("a", as_bytes("mine")), Created::exists);
}

TEST_F(Retrying, exists_at_the_first_try_is_believed_even_with_equal_bytes) {
    memory.create("a", as_bytes("equal"));
    EXPECT_EQ(over_failures(0, When::after).create("a", as_bytes("equal")), Created::exists);
}

// As a writer's key finds packs: they may be put, and not read.
class Unreadable final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<Bytes> read(std::string_view) override { throw Error{Code::denied, "no"}; }
};

TEST_F(Retrying, after_a_lost_reply_what_may_not_be_looked_at_is_unseen) {
    FailingStore failing(memory, 1, When::after);
    RetryingStore store(std::make_unique<Unreadable>(failing), sim.world());
    EXPECT_EQ(store.create("a", as_bytes("mine")), Created::unseen);
    EXPECT_EQ(store.create("a", as_bytes("mine")), Created::exists) << "no reply was lost";
}

TEST_F(Retrying, under_a_name_of_ones_own_lies_what_one_wrote_or_nothing_counts) {
    const auto code_of = [](Store& store, std::string_view name, std::string_view bytes) -> std::optional<Code> {
        try {
            create_own(store, name, as_bytes(bytes));
        } catch (const Error& error) {
            return error.code();
        }
        return std::nullopt;
    };
    Unreadable closed(memory);
    EXPECT_EQ(code_of(closed, "a", "mine"), std::nullopt);
    EXPECT_EQ(code_of(closed, "a", "mine"), Code::corrupt) << "it says it had it, and lets nobody look";
    EXPECT_EQ(code_of(memory, "a", "mine"), std::nullopt) << "a second time";
    EXPECT_EQ(code_of(memory, "a", "other"), Code::corrupt);
    FailingStore failing(memory, 1, When::after);
    RetryingStore unheard(std::make_unique<Unreadable>(failing), sim.world());
    EXPECT_EQ(code_of(unheard, "b", "mine"), std::nullopt) << "most likely its own";
}

TEST_F(Retrying, waits_grow_and_the_budget_ends_them) {
    try {
        over_failures(1000, When::before).read("a");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unreachable);
        EXPECT_EQ(error.message(), "no answer");
        ASSERT_EQ(error.notes().size(), 1U);
        EXPECT_TRUE(error.notes()[0].starts_with("trying ")) << error.notes()[0];
    }
    EXPECT_GT(seconds_passed(), 40);
    EXPECT_LE(seconds_passed(), 60);
    const std::size_t tries = sim.log.lines().size();
    EXPECT_GT(tries, 8U);
    EXPECT_LT(tries, 20U);
    EXPECT_TRUE(sim.log.contains("reading a: no answer; again in "));
}

TEST_F(Retrying, an_error_that_would_be_the_same_again_is_thrown_at_once) {
    for (const Code code : {Code::denied, Code::no_space, Code::corrupt}) {
        RetryingStore store = over_failures(1, When::before, code);
        try {
            store.create("a", as_bytes("x"));
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code);
        }
    }
    EXPECT_EQ(seconds_passed(), 0);
}

TEST_F(Retrying, a_stop_ends_the_wait) {
    sim.stop.request();
    try {
        over_failures(1, When::before).read("a");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::cancelled);
    }
}

TEST_F(Retrying, a_dead_client_stays_dead) {
    auto faulty = std::make_unique<FaultyStore>(memory, sim);
    faulty->crash_after(0);
    RetryingStore store(std::move(faulty), sim.world());
    EXPECT_THROW(store.create("a", as_bytes("x")), SimulatedCrash);
    EXPECT_THROW(store.read("a"), SimulatedCrash);
}

TEST_F(Limiting, bytes_take_their_time_in_each_direction) {
    LimitedStore store(std::make_unique<StoreDecorator>(memory), {.up = 1'000'000, .down = 500'000}, sim.world());
    const Bytes megabyte(1'000'000, 1);
    for (int i = 0; i < 5; ++i) store.create("a/" + std::to_string(i), megabyte);
    EXPECT_NEAR(seconds_passed(), 4, 0.1);  // the last one's second is paid by the next
    for (int i = 0; i < 5; ++i) store.read("a/" + std::to_string(i));
    EXPECT_NEAR(seconds_passed(), 12, 0.1);
    store.read_range("a/0", 0, 10);
    EXPECT_NEAR(seconds_passed(), 14, 0.1);
}

TEST_F(Limiting, nothing_waits_without_a_limit) {
    LimitedStore store(std::make_unique<StoreDecorator>(memory), {}, sim.world());
    for (int i = 0; i < 5; ++i) store.create("a/" + std::to_string(i), Bytes(100'000, 1));
    for (int i = 0; i < 5; ++i) store.read("a/" + std::to_string(i));
    EXPECT_EQ(seconds_passed(), 0);
}

TEST_F(Limiting, time_without_traffic_is_not_saved_up) {
    LimitedStore store(std::make_unique<StoreDecorator>(memory), {.up = 1000}, sim.world());
    sim.clock.advance(3600 * one_second);
    for (int i = 0; i < 4; ++i) store.create("a/" + std::to_string(i), Bytes(1000, 1));
    EXPECT_NEAR(seconds_passed(), 3603, 0.1);
}

TEST_F(Limiting, a_stop_ends_the_wait) {
    LimitedStore store(std::make_unique<StoreDecorator>(memory), {.up = 1}, sim.world());
    store.create("a", as_bytes("0123456789"));
    sim.stop.request(SIGTERM);
    EXPECT_THROW(store.create("b", as_bytes("x")), Error);
    EXPECT_FALSE(memory.find("b"));
}

TEST(Measuring, requests_and_bytes_are_counted_by_verb) {
    MemoryStore memory;
    MeasuredStore store(std::make_unique<StoreDecorator>(memory));
    store.create("a/1", as_bytes("12345"));
    store.create("a/1", as_bytes("123"));
    store.create("a/2", as_bytes("1234567"));
    store.read("a/1");
    store.read("absent");
    store.read_range("a/2", 2, 3);
    store.find("a/1");
    store.list("a/", [](const ObjectInfo&) {});
    store.remove("a/1");
    EXPECT_THROW(store.create("no name", as_bytes("12345")), Error);

    const StoreTraffic traffic = store.traffic();
    EXPECT_EQ(traffic.create.requests, 4U);
    EXPECT_EQ(traffic.create.bytes, 15U);
    EXPECT_EQ(traffic.create.failures, 1U);
    EXPECT_EQ(traffic.read.requests, 2U);
    EXPECT_EQ(traffic.read.bytes, 5U);
    EXPECT_EQ(traffic.read_range.bytes, 3U);
    EXPECT_EQ(traffic.find.requests, 1U);
    EXPECT_EQ(traffic.list.bytes, 12U);
    EXPECT_EQ(traffic.remove.requests, 1U);
    EXPECT_EQ(traffic.requests(), 10U);
    EXPECT_EQ(traffic.bytes_sent(), 15U);
    EXPECT_EQ(traffic.bytes_received(), 8U);
}

TEST(Measuring, no_request_of_many_threads_is_missed) {
    MemoryStore memory;
    MeasuredStore store(std::make_unique<StoreDecorator>(memory));
    store.create("a", as_bytes("12"));
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([&] {
                for (int n = 0; n < 100; ++n) store.read("a");
            });
        }
    }
    EXPECT_EQ(store.traffic().read.requests, 800U);
    EXPECT_EQ(store.traffic().read.bytes, 1600U);
}

}  // namespace holdfast
