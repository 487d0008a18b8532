#include "policy/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Nanoseconds at(std::string_view text) { return *parse_time(text, 0); }

std::vector<std::string> due(std::string_view schedule, std::string_view zone, std::string_view from, int count) {
    const Schedule parsed = Schedule::parse(schedule, zone);
    std::vector<std::string> out;
    Nanoseconds time = at(from);
    for (int i = 0; i < count; ++i) {
        time = *parsed.next(time);
        out.push_back(rfc3339(time));
    }
    return out;
}

std::string complaint(std::string_view schedule, std::string_view zone = "UTC") {
    try {
        Schedule::parse(schedule, zone);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::config);
        return error.message() + " | " + error.hint();
    }
    return "";
}

TEST(Schedule, SimpleForms) {
    EXPECT_THAT(due("0 2 * * *", "UTC", "2026-03-01T02:00:00Z", 2),
                ElementsAre("2026-03-02T02:00:00Z", "2026-03-03T02:00:00Z"));
    EXPECT_THAT(
        due("*/20 6-7 * * mon", "UTC", "2026-03-01T00:00:00Z", 4),
        ElementsAre("2026-03-02T06:00:00Z", "2026-03-02T06:20:00Z", "2026-03-02T06:40:00Z", "2026-03-02T07:00:00Z"));
    EXPECT_THAT(due("@weekly", "UTC", "2026-03-01T00:00:00Z", 1), ElementsAre("2026-03-08T00:00:00Z"));
    EXPECT_THAT(due("30 4 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2),
                ElementsAre("2028-02-29T04:30:00Z", "2032-02-29T04:30:00Z"));
}

TEST(Schedule, FirstMondayAndLastDays) {
    EXPECT_THAT(due("0 4 * * 1#1", "UTC", "2026-03-01T00:00:00Z", 3),
                ElementsAre("2026-03-02T04:00:00Z", "2026-04-06T04:00:00Z", "2026-05-04T04:00:00Z"));
    EXPECT_THAT(due("0 4 L * *", "UTC", "2026-02-01T00:00:00Z", 3),
                ElementsAre("2026-02-28T04:00:00Z", "2026-03-31T04:00:00Z", "2026-04-30T04:00:00Z"));
    EXPECT_THAT(due("0 4 * * friL", "UTC", "2026-02-01T00:00:00Z", 2),
                ElementsAre("2026-02-27T04:00:00Z", "2026-03-27T04:00:00Z"));
}

TEST(Schedule, DayOfMonthAndOfWeekAreAlternatives) {
    EXPECT_THAT(due("0 0 13 * 5", "UTC", "2026-03-01T00:00:00Z", 3),
                ElementsAre("2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z", "2026-03-20T00:00:00Z"));
    EXPECT_THAT(due("0 0 1 * 7", "UTC", "2026-03-28T00:00:00Z", 2),
                ElementsAre("2026-03-29T00:00:00Z", "2026-04-01T00:00:00Z"));
}

TEST(Schedule, ASkippedTimeRunsOnceRightAfter) {
    EXPECT_THAT(due("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
                ElementsAre("2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"));
    EXPECT_THAT(due("*/15 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
                ElementsAre("2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"));
}

TEST(Schedule, ARepeatedTimeRunsOnce) {
    EXPECT_THAT(due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
                ElementsAre("2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"));
}

TEST(Schedule, EveryHourFollowsRealTime) {
    EXPECT_THAT(due("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 3),
                ElementsAre("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"));
    EXPECT_THAT(due("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2),
                ElementsAre("2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"));
}

TEST(Schedule, WhatIsNeverDueSaysSo) {
    EXPECT_FALSE(Schedule::parse("0 0 30 2 *").next(0));
    EXPECT_FALSE(Schedule::parse("0 0 31 4,6,9,11 *", "Europe/Berlin").next(0));
}

TEST(Schedule, ProblemsNameTheNearestRightForm) {
    EXPECT_THAT(complaint("0 2 * *"), HasSubstr("has 4 instead of five fields"));
    EXPECT_THAT(complaint("0 0 2 * * *"), HasSubstr("leave seconds or years out"));
    EXPECT_THAT(complaint("0 25 * * *"), HasSubstr("`25` is no hour: it goes from 0 to 23"));
    EXPECT_THAT(complaint("0 2 * * mno"), HasSubstr("Did you mean `MON`?"));
    EXPECT_THAT(complaint("0 22-2 * * *"), HasSubstr("Write `22-23,0-2`."));
    EXPECT_THAT(complaint("@dayly"), HasSubstr("Did you mean `@daily`?"));
    EXPECT_THAT(complaint("@reboot"), HasSubstr("catch_up"));
    EXPECT_THAT(complaint("0 2 * * 1#6"), HasSubstr("`1#1` is the first Monday"));
    EXPECT_THAT(complaint("0 2 * * 1#"), HasSubstr("from 1 to 5"));
    EXPECT_THAT(complaint("*/0 * * * *"), HasSubstr("its step is no whole number above 0"));
    EXPECT_THAT(complaint("*/90 * * * *"), HasSubstr("a step of 90 leaves the range 0 to 59"));
    EXPECT_THAT(complaint("1,,2 * * * *"), HasSubstr("`` is no minute"));
    EXPECT_THAT(complaint("0 2 0 * *"), HasSubstr("it goes from 1 to 31"));
    EXPECT_THAT(complaint("99999999999 2 * * *"), HasSubstr("is no minute"));
    EXPECT_THAT(complaint("0 2 * * *", "Europe/Berlim"), HasSubstr("Did you mean `Europe/Berlin`?"));
    EXPECT_THAT(complaint(""), HasSubstr("has 0 instead of five fields"));
}

// What is due by definition: every minute of real time is looked at, the local time is the C library's.
class BruteForce {
public:
    struct Sets {
        std::set<int> minutes, hours, days, months, weekdays;
        bool any_day = false, any_weekday = false;
    };

    BruteForce(const std::string& zone, const Sets& sets) : sets_(sets) {
        setenv("TZ", zone.c_str(), 1);
        tzset();
    }
    ~BruteForce() {
        unsetenv("TZ");
        tzset();
    }

    std::vector<Nanoseconds> between(std::time_t from, std::time_t to) {
        constexpr std::time_t warm_up = 3 * 86400;
        std::vector<Nanoseconds> out;
        std::set<std::int64_t> seen;
        std::int64_t before = wall(from - warm_up - 60);
        for (std::time_t time = from - warm_up; time < to; time += 60) {
            const std::int64_t now = wall(time);
            bool due = matches(now) && (every_hour() || !seen.contains(now));
            for (std::int64_t skipped = before + 1; skipped < now && !every_hour(); ++skipped)
                due = due || matches(skipped);
            seen.insert(now);
            before = now;
            if (due && time >= from) out.push_back(time * one_second);
        }
        return out;
    }

private:
    bool every_hour() const { return sets_.hours.size() == 24; }
    static std::int64_t wall(std::time_t time) {  // minutes of a calendar without time zones
        std::tm local{};
        localtime_r(&time, &local);
        return timegm(&local) / 60;
    }
    bool matches(std::int64_t minute) const {
        const std::time_t time = minute * 60;
        std::tm local{};
        gmtime_r(&time, &local);
        const bool day = sets_.days.contains(local.tm_mday), weekday = sets_.weekdays.contains(local.tm_wday);
        return sets_.minutes.contains(local.tm_min) && sets_.hours.contains(local.tm_hour) &&
               sets_.months.contains(local.tm_mon + 1) &&
               (sets_.any_day || sets_.any_weekday ? day && weekday : day || weekday);
    }
    const Sets& sets_;
};

class RandomSchedule {
public:
    explicit RandomSchedule(std::uint64_t seed) : engine_(seed) {}
    std::string make(BruteForce::Sets& sets) {
        const std::string minute = field(0, 59, sets.minutes), hour = field(0, 23, sets.hours);
        const std::string day = field(1, 31, sets.days), month = field(1, 12, sets.months);
        const std::string weekday = field(0, 6, sets.weekdays);
        sets.any_day = day.front() == '*';
        sets.any_weekday = weekday.front() == '*';
        return fmt::format("{} {} {} {} {}", minute, hour, day, month, weekday);
    }

private:
    int below(int bound) { return static_cast<int>(engine_() % static_cast<unsigned>(bound)); }
    std::string field(int least, int most, std::set<int>& set) {
        const auto fill = [&](int first, int last, int step) {
            for (int each = first; each <= last; each += step) set.insert(each);
        };
        const int a = least + below(most - least + 1), b = a + below(most - a + 1), step = 1 + below(most - least);
        switch (below(5)) {
            case 0:
                fill(least, most, 1);
                return "*";
            case 1:
                fill(least, most, step);
                return fmt::format("*/{}", step);
            case 2:
                fill(a, b, 1);
                return fmt::format("{}-{}", a, b);
            case 3:
                fill(a, b, step);
                set.insert(least);
                return fmt::format("{},{}-{}/{}", least, a, b, step);
            default:
                set.insert(a);
                set.insert(b);
                return fmt::format("{},{}", a, b);
        }
    }
    std::mt19937_64 engine_;
};

struct Era {
    const char* zone;
    const char* from;  // around changes of the clocks
    int days;
};

class ScheduleByBruteForce : public testing::TestWithParam<Era> {};

TEST_P(ScheduleByBruteForce, EveryDueMinuteIsTheSame) {
    constexpr int schedules = 25;
    const std::time_t from = at(GetParam().from) / one_second;
    const std::time_t to = from + GetParam().days * std::time_t{86400};
    for (int seed = 0; seed < schedules; ++seed) {
        BruteForce::Sets sets;
        const std::string text = RandomSchedule(static_cast<std::uint64_t>(seed)).make(sets);
        const std::vector<Nanoseconds> expected = BruteForce(GetParam().zone, sets).between(from, to);
        const Schedule schedule = Schedule::parse(text, GetParam().zone);
        std::vector<Nanoseconds> found;
        for (auto time = schedule.next(from * one_second - 1); time && *time < to * one_second;
             time = schedule.next(*time))
            found.push_back(*time);
        ASSERT_EQ(found, expected) << text << " in " << GetParam().zone;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Zones, ScheduleByBruteForce,
    testing::Values(Era{"UTC", "2026-02-20T00:00:00Z", 20}, Era{"Europe/Berlin", "2026-03-27T00:00:00Z", 5},
                    Era{"Europe/Berlin", "2026-10-23T00:00:00Z", 5}, Era{"America/New_York", "2026-03-06T00:00:00Z", 5},
                    Era{"America/New_York", "2026-10-30T00:00:00Z", 5},
                    Era{"Australia/Lord_Howe", "2026-04-03T00:00:00Z", 4},  // half an hour back
                    Era{"Australia/Lord_Howe", "2026-10-02T00:00:00Z", 4},  // and forward
                    Era{"America/Sao_Paulo", "2017-10-13T00:00:00Z", 4},    // midnight is skipped
                    Era{"America/Sao_Paulo", "2018-02-16T00:00:00Z", 4},    // the hour before midnight repeats
                    Era{"Asia/Kathmandu", "2026-01-01T00:00:00Z", 4},       // 5 h 45 min
                    Era{"Pacific/Apia", "2011-12-28T00:00:00Z", 5}));       // a whole day is skipped

TEST(Jitter, IsTheSameForAJobAndWithinItsLimit) {
    std::set<Nanoseconds> seen;
    for (int i = 0; i < 1000; ++i) {
        const Nanoseconds jitter = jitter_of(fmt::format("job-{}", i), 600 * one_second);
        EXPECT_EQ(jitter, jitter_of(fmt::format("job-{}", i), 600 * one_second));
        EXPECT_GE(jitter, 0);
        EXPECT_LE(jitter, 600 * one_second);
        seen.insert(jitter);
    }
    EXPECT_GT(seen.size(), 400U);  // spread over the 601 seconds
    EXPECT_EQ(jitter_of("nightly", 0), 0);
}

TEST(AllowedHours, OverMidnight) {
    const AllowedHours hours = parse_allowed_hours("22:00-06:00");
    EXPECT_EQ(next_allowed(hours, "UTC", at("2026-03-01T23:10:00Z")), at("2026-03-01T23:10:00Z"));
    EXPECT_EQ(next_allowed(hours, "UTC", at("2026-03-01T06:00:00Z")), at("2026-03-01T22:00:00Z"));
    EXPECT_EQ(next_allowed(parse_allowed_hours("01:00-05:00"), "UTC", at("2026-03-01T06:00:00Z")),
              at("2026-03-02T01:00:00Z"));
    EXPECT_EQ(next_allowed(hours, "Europe/Berlin", at("2026-07-01T12:00:00Z")), at("2026-07-01T20:00:00Z"));
}

TEST(AllowedHours, WhatIsNone) {
    for (const char* text : {"22", "25:00-26:00", "06:00-06:00", "a-b", "10:00-10:70", ""})
        EXPECT_THROW(parse_allowed_hours(text), Error) << text;
}

TEST(OnCalendar, SaysTheSameToSystemd) {
    const auto lines = [](std::string_view text) { return Schedule::parse(text, "Europe/Berlin").on_calendar(); };
    EXPECT_THAT(lines("0 2 * * *"), ElementsAre("*-*-* 02:00:00 Europe/Berlin"));
    EXPECT_THAT(lines("*/30 * * * 1-5"), ElementsAre("Mon,Tue,Wed,Thu,Fri *-*-* *:00,30:00 Europe/Berlin"));
    EXPECT_THAT(lines("0 4 * * 1#1"), ElementsAre("Mon *-*-01..07 04:00:00 Europe/Berlin"));
    EXPECT_THAT(lines("0 4 1 * 0"), ElementsAre("*-*-01 04:00:00 Europe/Berlin", "Sun *-*-* 04:00:00 Europe/Berlin"));
    EXPECT_THAT(lines("0 4 L * *"), ElementsAre("*-*~01 04:00:00 Europe/Berlin"));
    EXPECT_THAT(lines("0 4 * 1,7 5L"), ElementsAre("Fri *-01,07~07/1 04:00:00 Europe/Berlin"));
}

}  // namespace
}  // namespace holdfast::policy
