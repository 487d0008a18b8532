#include "report/copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::report {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(Copies, three_on_two_media_with_one_elsewhere_lack_only_what_is_not_tested) {
    const CopiesRow row =
        copies_row({"orders", {{"main", "disk", false, true}, {"offsite", "object store", true, true}}, true, {}});
    EXPECT_EQ(row.copies, 3U);
    EXPECT_EQ(row.media, 2U);
    EXPECT_EQ(row.offsite, 1U);
    EXPECT_EQ(row.errors, 0U);
    EXPECT_TRUE(row.is_proven);
    EXPECT_THAT(row.shortfalls, ElementsAre(HasSubstr("immutable is not tested")));
}

TEST(Copies, a_copy_that_is_behind_is_no_copy_and_an_error) {
    const CopiesRow row =
        copies_row({"orders", {{"main", "disk", false, true}, {"offsite", "object store", true, false}}, true, {}});
    EXPECT_EQ(row.copies, 2U);
    EXPECT_EQ(row.offsite, 0U);
    EXPECT_EQ(row.errors, 1U);
    EXPECT_THAT(row.shortfalls, Contains("offsite lacks the newest snapshot"));
    EXPECT_THAT(row.shortfalls, Contains(HasSubstr("2 of 3")));
}

TEST(Copies, a_copy_of_which_something_is_gone_is_no_copy_and_an_error) {
    const CopiesRow row = copies_row(
        {"orders", {{"main", "disk", false, true}, {"offsite", "object store", true, true, false}}, true, {}});
    EXPECT_EQ(row.copies, 2U);
    EXPECT_EQ(row.offsite, 0U);
    EXPECT_EQ(row.errors, 1U);
    EXPECT_THAT(row.shortfalls, Contains("offsite lacks a part of the newest snapshot"));
    const CopiesRow untold = copies_row({"orders", {{"main", "disk", false, true, {}}}, true, {}});
    EXPECT_EQ(untold.copies, 2U);
    EXPECT_THAT(untold.shortfalls, Contains(HasSubstr("main has all of the newest snapshot is not tested")));
}

TEST(Copies, what_could_not_be_looked_into_is_an_error_and_unproven_is_no_pass) {
    const CopiesRow row = copies_row({"orders", {{"main", "", false, true}}, {}, {"offsite"}});
    EXPECT_EQ(row.errors, 1U);
    EXPECT_FALSE(row.is_proven);
    EXPECT_EQ(row.media, 0U) << "a medium that nobody named is none";
    EXPECT_THAT(row.shortfalls, Contains("offsite could not be looked into"));
    EXPECT_THAT(row.shortfalls, Contains("the newest snapshot was never proven"));
    EXPECT_THAT(copies_row({"orders", {}, false, {}}).shortfalls, Contains(HasSubstr("failed")));
    EXPECT_THAT(copies_row({"orders", {}, false, {}}).shortfalls, Not(Contains(HasSubstr("never proven"))));
}

}  // namespace
}  // namespace holdfast::report
