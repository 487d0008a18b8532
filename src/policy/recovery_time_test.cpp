#include "policy/recovery_time.h"

#include <gtest/gtest.h>

namespace holdfast::policy {
namespace {

TEST(RecoveryTime, IsTheMedianAndTheWorstOfTheNewest) {
    EXPECT_FALSE(recovery_time({}));
    const auto one = recovery_time({4});
    ASSERT_TRUE(one);
    EXPECT_EQ(one->median, 4);
    EXPECT_EQ(one->worst, 4);
    const auto two = recovery_time({9, 1});
    EXPECT_EQ(two->median, 9);  // of two the one that promises less
    std::vector<double> many(recoveries_max, 2);
    many[3] = 7;
    many.push_back(1000);
    const auto newest = recovery_time(many);
    EXPECT_EQ(newest->count, recoveries_max);
    EXPECT_EQ(newest->median, 2);
    EXPECT_EQ(newest->worst, 7);
}

}  // namespace
}  // namespace holdfast::policy
