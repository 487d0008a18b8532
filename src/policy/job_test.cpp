#include "policy/job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"

namespace holdfast::policy {
namespace {

using testing::Optional;

constexpr Nanoseconds one_hour = 3600 * one_second;
const Nanoseconds spring = parse_time("2026-03-01T00:00:00Z", 0).value();

TEST(Job, its_kind_has_the_name_of_the_configuration) {
    EXPECT_EQ(kind_of(BackupTask{}), "backup");
    EXPECT_EQ(kind_of(ExportTask{}), "export");
    EXPECT_EQ(kind_of(CheckTask{}), "check");
}

TEST(Job, the_longest_gap_of_a_schedule_is_found_over_a_year) {
    EXPECT_THAT(longest_gap(Schedule::parse("0 2 * * *"), spring), Optional(24 * one_hour));
    EXPECT_THAT(longest_gap(Schedule::parse("0 2 * * *", "Europe/Berlin"), spring), Optional(25 * one_hour));
    EXPECT_THAT(longest_gap(Schedule::parse("0 8-18 * * *"), spring), Optional(14 * one_hour));
    EXPECT_THAT(longest_gap(Schedule::parse("* * * * *"), spring), Optional(60 * one_second));
    EXPECT_THAT(longest_gap(Schedule::parse("0 0 31 * *"), spring), Optional(61 * 24 * one_hour));
    EXPECT_THAT(longest_gap(Schedule::parse("@yearly"), spring), Optional(366 * 24 * one_hour));
    EXPECT_EQ(longest_gap(Schedule::parse("0 0 30 2 *"), spring), std::nullopt);
}

TEST(Job, it_is_overdue_a_quarter_of_the_gap_after_it_was_due) {
    Job job;
    EXPECT_EQ(overdue_after(job, spring), std::nullopt);
    job.schedule = Schedule::parse("@daily");
    EXPECT_THAT(overdue_after(job, spring), Optional(30 * one_hour));
    job.overdue_after = 26 * one_hour;
    EXPECT_THAT(overdue_after(job, spring), Optional(26 * one_hour));
}

TEST(Job, levels_shares_and_formats_are_read) {
    EXPECT_THAT(parse_level("V3"), Optional(3));
    EXPECT_THAT(parse_level("v0"), Optional(0));
    for (const char* wrong : {"", "V", "V5", "V33", "x"}) EXPECT_EQ(parse_level(wrong), std::nullopt) << wrong;
    EXPECT_THAT(parse_read_data("10%")->share, Optional(0.1));
    EXPECT_THAT(parse_read_data("5G")->bytes_max, Optional(std::uint64_t{5} << 30));
    for (const char* wrong : {"", "%", "0%", "101%", "much", "nan%"})
        EXPECT_FALSE(parse_read_data(wrong).has_value()) << wrong;
    EXPECT_EQ(plain_format("sql.gz"), "sql");
    EXPECT_EQ(plain_format("custom"), "custom");
}

}  // namespace
}  // namespace holdfast::policy
