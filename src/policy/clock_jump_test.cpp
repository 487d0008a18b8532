#include "policy/clock_jump.h"

#include <gtest/gtest.h>

namespace holdfast::policy {
namespace {

constexpr Nanoseconds one_hour = 3600 * one_second;

TEST(ClockJump, clocks_that_advance_alike_did_not_jump) {
    EXPECT_EQ(jump_between({"a", 0, 1000 * one_hour}, {"a", 5 * one_hour, 1005 * one_hour}), 0);
    EXPECT_EQ(jump_between({"a", 0, 0}, {"a", one_hour, one_hour + clock_jump_max}), 0);
}

TEST(ClockJump, both_directions_are_seen) {
    EXPECT_EQ(jump_between({"a", 0, 1000 * one_hour}, {"a", one_hour, 2001 * one_hour}), 1000 * one_hour);
    EXPECT_EQ(jump_between({"a", 0, 1000 * one_hour}, {"a", one_hour, 501 * one_hour}), -500 * one_hour);
}

TEST(ClockJump, over_a_restart_only_going_back_is_certain) {
    EXPECT_EQ(jump_between({"a", 0, 1000 * one_hour}, {"b", one_hour, 9000 * one_hour}), 0);
    EXPECT_EQ(jump_between({"a", 0, 1000 * one_hour}, {"b", one_hour, 900 * one_hour}), -100 * one_hour);
}

TEST(ClockJump, a_mark_is_read_as_it_was_written) {
    const auto mark = parse_clock_mark(text_of({"boot", 5, -7}));
    ASSERT_TRUE(mark.has_value());
    EXPECT_EQ(mark->boot, "boot");
    EXPECT_EQ(mark->steady, 5);
    EXPECT_EQ(mark->wall, -7);
    for (const char* wrong : {"", "a b", "a 1 x", "a 1 2 3"}) EXPECT_FALSE(parse_clock_mark(wrong).has_value());
}

}  // namespace
}  // namespace holdfast::policy
