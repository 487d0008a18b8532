#include "policy/expect.h"

#include <gtest/gtest.h>

namespace holdfast::policy {
namespace {

TEST(Expect, numbers_are_compared_as_numbers) {
    EXPECT_TRUE(meets("10", ">9"));
    EXPECT_TRUE(meets("10", "> 9"));
    EXPECT_FALSE(meets("9", ">9"));
    EXPECT_TRUE(meets("9", ">=9"));
    EXPECT_TRUE(meets("-1", "<0"));
    EXPECT_TRUE(meets("0.5", "<=0.5"));
    EXPECT_TRUE(meets("1.0", "=1"));
    EXPECT_TRUE(meets("007", "7"));
    EXPECT_TRUE(meets("9007199254740993", "!=9007199254740992"));
    EXPECT_TRUE(meets("9223372036854775807", ">9223372036854775806"));
}

TEST(Expect, what_is_no_number_is_neither_more_nor_less) {
    EXPECT_FALSE(meets("many", ">0"));
    EXPECT_FALSE(meets("", ">=0"));
    EXPECT_FALSE(meets("", "<1"));
}

TEST(Expect, text_is_equal_or_not) {
    EXPECT_TRUE(meets("ok", "ok"));
    EXPECT_TRUE(meets("ok\n", "=ok"));
    EXPECT_FALSE(meets("OK", "ok"));
    EXPECT_TRUE(meets("t", "!=f"));
    EXPECT_FALSE(meets("", "ok"));
}

TEST(Expect, a_regular_expression_is_looked_for) {
    EXPECT_TRUE(meets("version 15.4", "~ 15\\."));
    EXPECT_FALSE(meets("version 14.4", "~^15"));
}

TEST(Expect, what_makes_no_sense_is_said) {
    EXPECT_TRUE(problem_with_expectation(">many").has_value());
    EXPECT_TRUE(problem_with_expectation("~(").has_value());
    EXPECT_FALSE(problem_with_expectation(">0").has_value());
    EXPECT_FALSE(problem_with_expectation("ok").has_value());
    EXPECT_FALSE(problem_with_expectation("").has_value());
}

}  // namespace
}  // namespace holdfast::policy
