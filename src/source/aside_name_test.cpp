#include "source/aside_name.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr Nanoseconds instant = 1'772'338'200 * one_second;  // 2026-03-01T04:10:00Z

TEST(AsideName, says_what_and_when) {
    EXPECT_EQ(aside_name("shop", "before", instant), "shop_before_20260301T041000Z");
    EXPECT_EQ(aside_name("shop", "after", instant), "shop_after_20260301T041000Z");
}

TEST(AsideName, of_a_long_name_is_cut_and_still_found_by_its_prefix) {
    for (const std::size_t length : {38U, 39U, 40U, 47U, 63U}) {
        const std::string name(length, 'n');
        const std::string aside = aside_name(name, "before", instant);
        EXPECT_LE(aside.size(), 63U);
        EXPECT_TRUE(aside.starts_with(aside_prefix(name, "before"))) << length;
    }
}

}  // namespace
}  // namespace holdfast
