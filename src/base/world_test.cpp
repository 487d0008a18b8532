#include "base/world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "base/error.h"

namespace holdfast {
namespace {

TEST(World, the_clock_is_of_this_century_and_steady_time_does_not_go_back) {
    constexpr Nanoseconds year_2024 = 1'704'067'200 * one_second;
    EXPECT_GT(system_clock().now(), year_2024);
    Nanoseconds last = system_clock().steady();
    for (int i = 0; i < 1000; ++i) {
        const Nanoseconds now = system_clock().steady();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(World, randomness_does_not_repeat) {
    std::set<std::array<std::uint8_t, 16>> seen;
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(system_random().array<16>()).second);
    EXPECT_NE(system_random().number(), system_random().number());
    Bytes large(100'000, 0);
    system_random().fill(large);
    EXPECT_NE(std::count(large.begin(), large.end(), 0), 100'000);
    system_random().fill({});
}

TEST(World, stop_says_which_signal_it_was) {
    Stop stop;
    EXPECT_FALSE(stop.requested());
    stop.check();
    stop.request(SIGINT);
    EXPECT_TRUE(stop.requested());
    try {
        stop.check();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.exit_status(), 130);
    }
    Stop terminated;
    terminated.request(SIGTERM);
    try {
        terminated.check();
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.exit_status(), 143);
    }
}

TEST(WorldDeathTest, the_first_signal_asks_and_the_second_ends) {
    const auto twice = [] {
        Stop stop;
        stop_on_signals(stop);
        std::raise(SIGTERM);
        if (!stop.requested()) std::_Exit(1);
        std::raise(SIGTERM);
        std::_Exit(2);
    };
    EXPECT_EXIT(twice(), testing::KilledBySignal(SIGTERM), "");
    const auto pipe = [] {
        Stop stop;
        stop_on_signals(stop);
        std::raise(SIGPIPE);
        std::_Exit(stop.requested() ? 1 : 0);
    };
    EXPECT_EXIT(pipe(), testing::ExitedWithCode(0), "");
}

TEST(World, the_log_prints_what_matters_enough) {
    testing::internal::CaptureStderr();
    Log& log = stderr_log(Level::warning);
    log.info("small");
    log.warning("large");
    const std::string printed = testing::internal::GetCapturedStderr();
    EXPECT_EQ(printed.find("small"), std::string::npos);
    EXPECT_NE(printed.find("large"), std::string::npos);
}

}  // namespace
}  // namespace holdfast
