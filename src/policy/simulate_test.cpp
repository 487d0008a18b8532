#include "policy/simulate.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::policy {
namespace {

constexpr Nanoseconds one_day = 86400 * one_second;
const Nanoseconds start = parse_time("2026-01-01T12:00:00Z", 0).value();

TEST(Simulate, a_daily_schedule_fills_its_retention_and_stays_there) {
    const Schedule daily = Schedule::parse("0 2 * * *");
    const auto months = simulate({daily, {.daily = 30}, start, start + 365 * one_day, {}, 1000, 10});
    ASSERT_EQ(months.size(), 13U);
    EXPECT_EQ(months[0].snapshots, 30U);
    EXPECT_EQ(months[0].bytes, 1290U);
    EXPECT_EQ(months[12].snapshots, 30U);
    EXPECT_EQ(months[12].end, start + 365 * one_day);
    EXPECT_EQ(months[12].oldest, parse_time("2026-12-03T02:00:00Z", 0).value());
}

TEST(Simulate, generations_grow_slowly) {
    const Schedule daily = Schedule::parse("0 2 * * *");
    const Retention gfs{.daily = 30, .weekly = 12, .monthly = 12, .yearly = 7};
    const auto months = simulate({daily, gfs, start, start + 730 * one_day, {}, 0, 1});
    EXPECT_LT(months[0].snapshots, months[5].snapshots);
    EXPECT_LT(months.back().snapshots, 30U + 12U + 12U + 7U);
    EXPECT_GT(months.back().snapshots, 30U + 7U);
    for (const SimulationMonth& month : months) EXPECT_EQ(month.bytes, month.snapshots - 1);
}

TEST(Simulate, what_is_there_counts_and_what_is_held_or_good_stays) {
    const Schedule daily = Schedule::parse("0 2 * * *");
    Candidate held{.group = "old", .received = start - 900 * one_day};
    held.held = true;
    Candidate good{.group = "old", .received = start - 800 * one_day};
    good.good = true;
    const Candidate gone{.group = "old", .received = start - 700 * one_day};
    const auto months = simulate({daily, {.last = 2}, start, start + 10 * one_day, {held, good, gone}, 0, 1});
    ASSERT_EQ(months.size(), 1U);
    EXPECT_EQ(months[0].snapshots, 4U);
    EXPECT_EQ(months[0].oldest, held.received);
}

TEST(Simulate, a_schedule_that_is_never_due_keeps_what_is_there) {
    const Schedule never = Schedule::parse("0 0 30 2 *");
    const auto months = simulate({never, {.last = 1}, start, start + 60 * one_day, {}, 5, 5});
    ASSERT_EQ(months.size(), 2U);
    EXPECT_EQ(months[1].snapshots, 0U);
    EXPECT_EQ(months[1].bytes, 0U);
}

TEST(Simulate, too_many_runs_are_refused) {
    const Schedule always = Schedule::parse("* * * * *");
    EXPECT_THROW(simulate({always, {.last = 1}, start, start + 3650 * one_day, {}, 0, 0}), Error);
}

TEST(Simulate, sizes_are_guessed_from_earlier_ones) {
    EXPECT_EQ(guess_sizes({}).bytes_base, 0U);
    const std::vector<std::uint64_t> stored{1000, 10, 30, 20};
    EXPECT_EQ(guess_sizes(stored).bytes_base, 1000U);
    EXPECT_EQ(guess_sizes(stored).bytes_each, 20U);
    const std::vector<std::uint64_t> one{7};
    EXPECT_EQ(guess_sizes(one).bytes_each, 7U);
}

}  // namespace
}  // namespace holdfast::policy
