#include "policy/retention.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/text.h"

namespace holdfast::policy {
namespace {

using Reasons = std::vector<std::vector<std::string>>;

// Central Europe's rules, written out so that no zone files are needed: in 2026 clocks are turned on March 29 and
// October 25.
class RetentionTest : public testing::Test {
protected:
    RetentionTest() {
        if (const char* before = std::getenv("TZ")) before_ = before;
        setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        tzset();
    }
    ~RetentionTest() override {
        before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
        tzset();
    }

    static Candidate at(const char* time) {
        Candidate out;
        out.group = "g";
        out.received = parse_time(time, 0).value();
        return out;
    }
    static std::vector<Candidate> at_all(std::initializer_list<const char*> times) {
        std::vector<Candidate> out;
        for (const char* time : times) out.push_back(at(time));
        return out;
    }

private:
    std::string before_;
};

TEST_F(RetentionTest, no_rule_keeps_nothing) {
    EXPECT_TRUE(Retention{}.empty());
    EXPECT_EQ(keep_reasons(at_all({"2026-03-01 10:00"}), {}), Reasons{{}});
    EXPECT_EQ(keep_reasons({}, {.last = 3}), Reasons{});
}

TEST_F(RetentionTest, the_last_ones_are_kept_whatever_their_order) {
    const auto kept = keep_reasons(at_all({"2026-03-02 10:00", "2026-03-01 10:00", "2026-03-03 10:00"}), {.last = 2});
    EXPECT_EQ(kept, (Reasons{{"last 2"}, {}, {"last 2"}}));
}

TEST_F(RetentionTest, imports_count_by_themselves) {
    auto all = at_all({"2024-01-31 02:00", "2026-03-01 10:00", "2024-02-29 02:00", "2026-03-02 10:00"});
    all[0].tags["imported"] = all[2].tags["imported"] = "sql";
    EXPECT_EQ(keep_reasons(all, {.last = 1}), (Reasons{{}, {}, {"last 1"}, {"last 1"}}));
    EXPECT_EQ(keep_reasons(all, {.monthly = 2}),
              (Reasons{{"monthly 2024-01"}, {}, {"monthly 2024-02"}, {"monthly 2026-03"}}));
    EXPECT_EQ(keep_reasons(all, {.within = 2 * 86400 * one_second}),
              (Reasons{{}, {"within 2 d"}, {"within 2 d"}, {"within 2 d"}}));
    all[0].good = all[1].good = true;
    EXPECT_EQ(keep_reasons(all, {}), (Reasons{{"last good"}, {"last good"}, {}, {}}));
}

TEST_F(RetentionTest, a_day_keeps_its_newest) {
    const auto kept = keep_reasons(
        at_all({"2026-03-01 01:00", "2026-03-01 23:00", "2026-03-02 00:30", "2026-03-05 09:00"}), {.daily = 2});
    EXPECT_EQ(kept, (Reasons{{}, {}, {"daily 2026-03-02"}, {"daily 2026-03-05"}}));
}

TEST_F(RetentionTest, days_are_local_ones) {
    // 23:30 in UTC is half past midnight of the next day here.
    const auto kept = keep_reasons(at_all({"2026-03-01T22:30:00Z", "2026-03-01T23:30:00Z"}), {.daily = 2});
    EXPECT_EQ(kept, (Reasons{{"daily 2026-03-01"}, {"daily 2026-03-02"}}));
}

TEST_F(RetentionTest, the_hour_that_comes_twice_is_two_hours) {
    const auto kept = keep_reasons(at_all({"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}), {.hourly = 5});
    EXPECT_EQ(kept, (Reasons{{"hourly 2026-10-25 02:00+02:00"}, {"hourly 2026-10-25 02:00+01:00"}}));
}

TEST_F(RetentionTest, the_hour_that_never_comes_breaks_nothing) {
    const auto kept =
        keep_reasons(at_all({"2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z", "2026-03-29T01:10:00Z"}), {.hourly = 5});
    EXPECT_EQ(kept, (Reasons{{"hourly 2026-03-29 01:00+01:00"}, {}, {"hourly 2026-03-29 03:00+02:00"}}));
}

TEST_F(RetentionTest, weeks_are_iso_weeks_also_at_the_ends_of_years) {
    // 2026-12-28 (Monday) to 2027-01-03 (Sunday) is week 53 of 2026.
    const auto kept = keep_reasons(
        at_all({"2026-12-27 12:00", "2026-12-28 00:00", "2026-12-31 12:00", "2027-01-03 23:59", "2027-01-04 00:00"}),
        {.weekly = 9});
    EXPECT_EQ(kept, (Reasons{{"weekly 2026-W52"}, {}, {}, {"weekly 2026-W53"}, {"weekly 2027-W01"}}));
}

TEST_F(RetentionTest, one_snapshot_can_serve_many_periods) {
    const auto kept = keep_reasons(at_all({"2025-12-31 23:00", "2026-01-01 01:00"}),
                                   {.last = 1, .hourly = 1, .daily = 1, .weekly = 1, .monthly = 2, .yearly = 2});
    EXPECT_EQ(kept[0], (std::vector<std::string>{"monthly 2025-12", "yearly 2025"}));
    EXPECT_EQ(kept[1], (std::vector<std::string>{"last 1", "hourly 2026-01-01 01:00+01:00", "daily 2026-01-01",
                                                 "weekly 2026-W01", "monthly 2026-01", "yearly 2026"}));
}

TEST_F(RetentionTest, periods_without_snapshots_do_not_count) {
    const auto kept =
        keep_reasons(at_all({"2024-06-01 10:00", "2025-06-01 10:00", "2026-06-01 10:00"}), {.monthly = 3});
    EXPECT_EQ(kept, (Reasons{{"monthly 2024-06"}, {"monthly 2025-06"}, {"monthly 2026-06"}}));
}

TEST_F(RetentionTest, a_period_prefers_what_is_not_flagged) {
    auto snapshots = at_all({"2026-03-01 08:00", "2026-03-01 09:00", "2026-03-01 10:00", "2026-03-02 10:00"});
    snapshots[2].flagged = true;
    snapshots[3].flagged = true;
    EXPECT_EQ(keep_reasons(snapshots, {.daily = 2}), (Reasons{{}, {"daily 2026-03-01"}, {}, {"daily 2026-03-02"}}));
}

TEST_F(RetentionTest, flagged_ones_do_not_push_the_last_sound_ones_out) {
    auto snapshots =
        at_all({"2026-03-01 10:00", "2026-03-02 10:00", "2026-03-03 10:00", "2026-03-04 10:00", "2026-03-05 10:00"});
    snapshots[3].flagged = true;
    snapshots[4].flagged = true;
    EXPECT_EQ(keep_reasons(snapshots, {.last = 2}), (Reasons{{}, {"last 2"}, {"last 2"}, {"last 2"}, {"last 2"}}));
}

TEST_F(RetentionTest, within_counts_from_the_newest_and_not_from_now) {
    const Retention rules{.within = 24 * 3600 * one_second};
    const auto kept = keep_reasons(at_all({"2020-03-01 09:59", "2020-03-01 10:00", "2020-03-02 10:00"}), rules);
    EXPECT_EQ(kept, (Reasons{{}, {"within 1 d"}, {"within 1 d"}}));
    EXPECT_EQ(keep_reasons(at_all({"1750-01-01 10:00", "2020-03-02 10:00"}), {.within = INT64_MAX}).at(0).size(), 1U);
}

TEST_F(RetentionTest, tags_keep_by_key_or_by_key_and_value) {
    auto snapshots = at_all({"2026-03-01 10:00", "2026-03-02 10:00", "2026-03-03 10:00"});
    snapshots[0].tags = {{"release", "1.0"}};
    snapshots[1].tags = {{"release", "2.0"}, {"by", "ann"}};
    Retention rules;
    rules.tags = {"release=1.0", "by"};
    EXPECT_EQ(keep_reasons(snapshots, rules), (Reasons{{"tag release=1.0"}, {"tag by"}, {}}));
    rules.tags = {"release"};
    EXPECT_EQ(keep_reasons(snapshots, rules), (Reasons{{"tag release"}, {"tag release"}, {}}));
    rules.tags = {"release="};
    EXPECT_EQ(keep_reasons(snapshots, rules), (Reasons{{}, {}, {}}));
}

TEST_F(RetentionTest, what_is_held_stays) {
    auto snapshots = at_all({"2026-03-01 10:00", "2026-03-02 10:00"});
    snapshots[0].held = true;
    EXPECT_EQ(keep_reasons(snapshots, {.last = 1}), (Reasons{{"held"}, {"last 1"}}));
    EXPECT_EQ(keep_reasons(snapshots, {}), (Reasons{{"held"}, {}}));
}

TEST_F(RetentionTest, each_group_is_counted_by_itself) {
    auto snapshots = at_all({"2026-03-01 10:00", "2026-03-02 10:00", "2020-01-01 10:00"});
    snapshots[2].group = "another";
    EXPECT_EQ(keep_reasons(snapshots, {.last = 1}), (Reasons{{}, {"last 1"}, {"last 1"}}));
    EXPECT_EQ(keep_reasons(snapshots, {.within = 0}), (Reasons{{}, {"within 0 s"}, {"within 0 s"}}));
}

TEST_F(RetentionTest, of_equal_times_the_last_given_is_the_newest) {
    const auto same = at_all({"2026-03-01 10:00", "2026-03-01 10:00"});
    EXPECT_EQ(keep_reasons(same, {.daily = 1}), (Reasons{{}, {"daily 2026-03-01"}}));
    EXPECT_EQ(keep_reasons(same, {.last = 1}), (Reasons{{}, {"last 1"}}));
}

TEST_F(RetentionTest, times_before_1970_have_days_too) {
    EXPECT_EQ(keep_reasons(at_all({"1969-12-31T22:59:59.5Z"}), {.daily = 1}), (Reasons{{"daily 1969-12-31"}}));
}

}  // namespace
}  // namespace holdfast::policy
