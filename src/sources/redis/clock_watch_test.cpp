#include "sources/redis/clock_watch.h"

#include <gtest/gtest.h>

namespace holdfast::redis {
namespace {

class TwoClocks final : public Clock {
public:
    Nanoseconds now() const override { return wall; }
    Nanoseconds steady() const override { return passed; }
    void pass(Nanoseconds time) { wall += time, passed += time; }
    Nanoseconds wall = 1'700'000'000 * one_second, passed = 0;
};

TEST(ClockWatch, TellsASetClockFromOneThatIsBroughtThereSlowly) {
    TwoClocks clock;
    ClockWatch watch(clock);
    clock.pass(3600 * one_second);
    EXPECT_EQ(watch.step(), 0);
    for (int i = 0; i < 100; ++i) {
        clock.pass(one_second);
        clock.wall += one_second / 10;
        EXPECT_EQ(watch.step(), 0);
    }
    clock.wall -= 10 * one_second;
    EXPECT_EQ(watch.step(), -10 * one_second);
    EXPECT_EQ(watch.step(), 0);
    clock.pass(one_second);
    clock.wall += 3600 * one_second;
    EXPECT_EQ(clock_was_set(watch.step()), "the clock of this machine was set ahead by 3600 s");
    EXPECT_EQ(clock_was_set(-2 * one_second), "the clock of this machine was set back by 2 s");
}

TEST(ClockWatch, WhatWasDatedByAClockThatIsBehindNowLiesAhead) {
    const TwoClocks clock;
    EXPECT_FALSE(lies_ahead(clock, clock.wall - 1));
    EXPECT_FALSE(lies_ahead(clock, clock.wall + one_second / 2));
    EXPECT_TRUE(lies_ahead(clock, clock.wall + 2 * one_second));
}

}  // namespace
}  // namespace holdfast::redis
