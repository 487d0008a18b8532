#include "base/workers.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <latch>
#include <set>

#include "base/error.h"

namespace holdfast {
namespace {

TEST(Workers, every_task_runs_once) {
    std::atomic<int> sum{0};
    Workers workers(3, 4);
    for (int i = 1; i <= 1000; ++i) workers.submit([&sum, i] { sum += i; });
    workers.finish();
    EXPECT_EQ(sum, 500500);
    EXPECT_FALSE(workers.failed());
}

TEST(Workers, drain_waits_and_more_can_follow) {
    std::atomic<int> runs{0};
    Workers workers(2, 4);
    for (int round = 1; round <= 20; ++round) {
        for (int i = 0; i < 5; ++i) workers.submit([&] { ++runs; });
        workers.drain();
        EXPECT_EQ(runs, round * 5);
    }
}

TEST(Workers, tasks_run_at_the_same_time) {
    Workers workers(2, 4);
    std::latch both(2);
    for (int i = 0; i < 2; ++i) workers.submit([&] { both.arrive_and_wait(); });
    workers.finish();
}

TEST(Workers, of_low_priority_leave_the_processor_to_others) {
    const auto priority_in = [](Workers::Priority priority) {
        std::atomic<int> found{0};
        Workers workers(1, 1, priority);
        workers.submit([&] { found = ::getpriority(PRIO_PROCESS, 0); });
        workers.finish();
        return found.load();
    };
    const int own = ::getpriority(PRIO_PROCESS, 0);
    EXPECT_EQ(priority_in(Workers::Priority::usual), own);
    EXPECT_EQ(priority_in(Workers::Priority::low), std::min(own + 10, 19));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), own);
}

TEST(Workers, the_first_error_reaches_whoever_joins_with_his_notes) {
    Workers workers(1, 100);
    std::atomic<int> later{0};
    workers.submit([] {
        const int item = 7;
        const Note note{"sealing item {}", item};
        throw Error{Code::no_space, "full"};
    });
    const std::string job = "orders";
    const Note note{"backing up {}", job};
    try {
        workers.drain();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::no_space);
        EXPECT_EQ(error.notes(), (std::vector<std::string>{"sealing item 7", "backing up orders"}));
    }
    EXPECT_TRUE(workers.failed());
    workers.submit([&] { ++later; });
    EXPECT_THROW(workers.finish(), Error);
    EXPECT_EQ(later, 0) << "a task ran after the failure";
    EXPECT_THROW(workers.rethrow_if_failed(), Error);
}

TEST(Workers, what_waits_is_dropped_after_an_error) {
    Workers workers(1, 100);
    std::latch go(1);
    std::atomic<int> runs{0};
    workers.submit([&] {
        go.wait();
        throw std::runtime_error("odd");
    });
    for (int i = 0; i < 50; ++i) workers.submit([&] { ++runs; });
    go.count_down();
    try {
        workers.finish();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::internal);
        EXPECT_EQ(error.message(), "odd");
    }
    EXPECT_EQ(runs, 0);
}

TEST(Workers, an_error_frees_whoever_waits_for_room) {
    Workers workers(1, 1);
    std::latch go(1);
    workers.submit([&] {
        go.wait();
        throw Error{Code::failed, "x"};
    });
    std::atomic<bool> ended{false};
    std::jthread feeder([&] {
        for (int i = 0; i < 100; ++i) workers.submit([] {});
        ended = true;
    });
    go.count_down();
    feeder.join();
    EXPECT_TRUE(ended);
    EXPECT_THROW(workers.finish(), Error);
}

TEST(Workers, tasks_that_make_tasks_do_not_deadlock) {
    std::atomic<int> runs{0};
    Workers workers(2, 1);
    std::function<void(int)> grow = [&](int depth) {
        ++runs;
        if (depth == 0) return;
        for (int i = 0; i < 3; ++i) workers.submit([&grow, depth] { grow(depth - 1); });
    };
    workers.submit([&] { grow(5); });
    workers.finish();
    EXPECT_EQ(runs, 1 + 3 + 9 + 27 + 81 + 243);
}

TEST(Workers, whoever_waits_for_a_result_can_help) {
    Workers workers(1, 10);
    std::latch busy(1);
    std::latch release(1);
    workers.submit([&] {
        busy.count_down();
        release.wait();
    });
    busy.wait();
    std::thread::id ran_in;
    workers.submit([&] { ran_in = std::this_thread::get_id(); });
    EXPECT_TRUE(workers.help());
    EXPECT_EQ(ran_in, std::this_thread::get_id());
    EXPECT_FALSE(workers.help());
    release.count_down();
    workers.finish();
}

TEST(Workers, one_that_goes_out_of_scope_drops_what_waits_and_forgets_errors) {
    std::atomic<int> runs{0};
    std::latch busy(1);
    std::latch release(1);
    std::jthread opener;
    {
        Workers workers(1, 100);
        workers.submit([&] {
            busy.count_down();
            release.wait();
            throw Error{Code::failed, "forgotten"};
        });
        busy.wait();
        for (int i = 0; i < 10; ++i) workers.submit([&] { ++runs; });
        // The destructor clears what waits before it joins, so the gate must open only then; it cannot be seen from
        // here, so at least the error must make the rest go.
        opener = std::jthread([&] { release.count_down(); });
    }
    EXPECT_EQ(runs, 0);
}

TEST(Workers, there_is_at_least_one_core) { EXPECT_GE(core_count(), 1U); }

}  // namespace
}  // namespace holdfast
