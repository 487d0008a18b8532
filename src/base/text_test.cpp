#include "base/text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr Nanoseconds hour = 3600 * one_second;

// Runs a test in one time zone, and puts the old one back.
class TimeZone {
public:
    explicit TimeZone(const char* zone) {
        if (const char* before = std::getenv("TZ")) before_ = before;
        setenv("TZ", zone, 1);
        tzset();
    }
    ~TimeZone() {
        before_.empty() ? unsetenv("TZ") : setenv("TZ", before_.c_str(), 1);
        tzset();
    }
    TimeZone(const TimeZone&) = delete;
    TimeZone& operator=(const TimeZone&) = delete;

private:
    std::string before_;
};

// Written out so that no zone files are needed: Central Europe's rules of today.
constexpr const char* berlin = "CET-1CEST,M3.5.0,M10.5.0/3";

TEST(Text, sizes_for_people_have_three_digits_and_decimal_units) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.00 kB");
    EXPECT_EQ(human_bytes(1'236'000'000), "1.24 GB");
    EXPECT_EQ(human_bytes(12'345'678), "12.3 MB");
    EXPECT_EQ(human_bytes(123'456'789), "123 MB");
    EXPECT_EQ(human_bytes(9'996), "10.0 kB");
    EXPECT_EQ(human_bytes(99'960), "100 kB");
    EXPECT_EQ(human_bytes(999'499), "999 kB");
    EXPECT_EQ(human_bytes(999'500), "1.00 MB");
    EXPECT_EQ(human_bytes(UINT64_MAX), "18.4 EB");
}

TEST(Text, durations_for_people_name_two_units_at_most) {
    EXPECT_EQ(human_duration(0), "0 s");
    EXPECT_EQ(human_duration(400'000), "0.4 ms");
    EXPECT_EQ(human_duration(85'000'000), "85 ms");
    EXPECT_EQ(human_duration(999'600'000), "1.0 s");
    EXPECT_EQ(human_duration(3'200'000'000), "3.2 s");
    EXPECT_EQ(human_duration(42 * one_second), "42 s");
    EXPECT_EQ(human_duration(59'700'000'000), "1 min");
    EXPECT_EQ(human_duration(250 * one_second), "4 min 10 s");
    EXPECT_EQ(human_duration(hour), "1 h");
    EXPECT_EQ(human_duration(hour + 5 * 60 * one_second), "1 h 5 min");
    EXPECT_EQ(human_duration(51 * hour), "2 d 3 h");
    EXPECT_EQ(human_duration(-250 * one_second), "-4 min 10 s");
    EXPECT_EQ(human_duration(INT64_MIN), human_duration(-INT64_MAX));
}

TEST(Text, counts_for_people_have_thousands_marked) {
    EXPECT_EQ(human_count(0), "0");
    EXPECT_EQ(human_count(999), "999");
    EXPECT_EQ(human_count(1000), "1,000");
    EXPECT_EQ(human_count(1234567), "1,234,567");
}

TEST(Text, rfc3339_is_right_before_1970_and_in_leap_years) {
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
    EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    EXPECT_EQ(rfc3339_seconds(-1), "1969-12-31T23:59:59Z");
    EXPECT_EQ(rfc3339(1'772'338'200 * one_second), "2026-03-01T04:10:00Z");
    EXPECT_EQ(rfc3339(1'772'338'200 * one_second + 500'000'000), "2026-03-01T04:10:00.5Z");
    EXPECT_EQ(rfc3339(951'782'400 * one_second), "2000-02-29T00:00:00Z");
    EXPECT_EQ(rfc3339(INT64_MIN), "1677-09-21T00:12:43.145224192Z");
    EXPECT_EQ(rfc3339(INT64_MAX), "2262-04-11T23:47:16.854775807Z");
}

TEST(Text, days_of_six_centuries_go_to_text_and_back) {
    for (std::int64_t day = -106'700; day < 106'700; day += 5) {
        const Nanoseconds at = day * 24 * hour + 12'345'678'901;
        ASSERT_EQ(parse_time(rfc3339(at), 0), at) << rfc3339(at);
    }
}

TEST(Text, local_time_is_in_the_zone_of_the_machine) {
    const TimeZone zone(berlin);
    EXPECT_EQ(local_time(1'772'338'200 * one_second), "2026-03-01 05:10:00");
    EXPECT_EQ(local_time(-one_second / 2), "1970-01-01 00:59:59");
}

TEST(Text, sizes_are_read_in_powers_of_1024) {
    EXPECT_EQ(parse_size("10"), 10U);
    EXPECT_EQ(parse_size("10B"), 10U);
    EXPECT_EQ(parse_size("16K"), 16U << 10);
    EXPECT_EQ(parse_size("16k"), 16U << 10);
    EXPECT_EQ(parse_size("16 kB"), 16U << 10);
    EXPECT_EQ(parse_size("5G"), std::uint64_t{5} << 30);
    EXPECT_EQ(parse_size("1.5MiB"), 3U << 19);
    EXPECT_EQ(parse_size("0.25T"), std::uint64_t{1} << 38);
    EXPECT_EQ(parse_size("15E"), std::uint64_t{15} << 60);
    EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
    for (const char* wrong :
         {"", "K", "-1", "1.", "1.K", ".5G", "1Q", "1KK", "16E", "18446744073709551616", "1iB", "10%", "1 2"})
        EXPECT_FALSE(parse_size(wrong)) << wrong;
}

TEST(Text, durations_are_read_from_large_units_to_small_ones) {
    EXPECT_EQ(parse_duration("90s"), 90 * one_second);
    EXPECT_EQ(parse_duration("15m"), 900 * one_second);
    EXPECT_EQ(parse_duration("2h"), 2 * hour);
    EXPECT_EQ(parse_duration("30d"), 720 * hour);
    EXPECT_EQ(parse_duration("6w"), 6 * 168 * hour);
    EXPECT_EQ(parse_duration("2y"), 730 * 24 * hour);
    EXPECT_EQ(parse_duration("1h30m"), hour * 3 / 2);
    EXPECT_EQ(parse_duration("250ms"), 250'000'000);
    EXPECT_EQ(parse_duration("1m5ms"), 60 * one_second + 5'000'000);
    for (const char* wrong :
         {"", "5", "h", "-2h", "2h30", "30m1h", "1h1h", "1.5h", "2 h", "300y", "99999999999999999999s", "5mo"})
        EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(Text, times_with_a_zone_mean_the_same_everywhere) {
    for (const char* zone : {"UTC", berlin, "EST5EDT"}) {
        const TimeZone set(zone);
        EXPECT_EQ(parse_time("2026-03-01T04:10:00Z", 0), 1'772'338'200 * one_second);
        EXPECT_EQ(parse_time("2026-03-01t04:10:00z", 0), 1'772'338'200 * one_second);
        EXPECT_EQ(parse_time("2026-03-01 06:10:00+02:00", 0), 1'772'338'200 * one_second);
        EXPECT_EQ(parse_time("2026-02-28T22:40:00-05:30", 0), 1'772'338'200 * one_second);
        EXPECT_EQ(parse_time("2026-03-01T04:10Z", 0), 1'772'338'200 * one_second);
        EXPECT_EQ(parse_time("2026-03-01T04:10:00.123456789123Z", 0), 1'772'338'200 * one_second + 123'456'789);
        EXPECT_EQ(parse_time("1969-12-31T23:59:59.75Z", 0), -250'000'000);
        EXPECT_EQ(parse_time("2016-12-31T23:59:60Z", 0), parse_time("2017-01-01T00:00:00Z", 0));
    }
}

TEST(Text, times_without_a_zone_are_local) {
    const TimeZone zone(berlin);
    EXPECT_EQ(parse_time("2026-03-01 05:10:00", 0), 1'772'338'200 * one_second);
    EXPECT_EQ(parse_time("2026-03-01 05:10", 0), 1'772'338'200 * one_second);
    EXPECT_EQ(parse_time("2026-03-01T05:10:00.5", 0), 1'772'338'200 * one_second + 500'000'000);
}

TEST(Text, a_date_is_its_end_also_where_a_day_has_23_or_25_hours) {
    const TimeZone zone(berlin);
    const auto end_of = [](const char* date) { return rfc3339(parse_time(date, 0).value_or(0)); };
    EXPECT_EQ(end_of("2026-03-01"), "2026-03-01T22:59:59.999999999Z");
    EXPECT_EQ(end_of("2026-03-29"), "2026-03-29T21:59:59.999999999Z");
    EXPECT_EQ(end_of("2026-10-25"), "2026-10-25T22:59:59.999999999Z");
    EXPECT_EQ(end_of("2026-12-31"), "2026-12-31T22:59:59.999999999Z");
    EXPECT_EQ(end_of("2028-02-29"), "2028-02-29T22:59:59.999999999Z");
}

TEST(Text, an_age_counts_from_now) {
    EXPECT_EQ(parse_time("2h", 10 * hour), 8 * hour);
    EXPECT_EQ(parse_time("1d", 0), -24 * hour);
    EXPECT_FALSE(parse_time("290y", INT64_MIN / 2));
}

TEST(Text, times_that_do_not_exist_are_refused) {
    for (const char* wrong : {"",
                              "yesterday",
                              "2026",
                              "2026-3-1",
                              "2026-13-01",
                              "2026-00-10",
                              "2026-02-29",
                              "2026-04-31",
                              "2026-01-00",
                              "2026-01-01T",
                              "2026-01-01 4:10",
                              "2026-01-01 24:00",
                              "2026-01-01 04:60",
                              "2026-01-01 04:10:61",
                              "2026-01-01 04:10:00.",
                              "2026-01-01T04:10:00+25:00",
                              "2026-01-01T04:10:00 Z",
                              "2026-01-01T04:10:00+0100",
                              "9999-01-01T00:00:00Z",
                              "2026-01-01x04:10"})
        EXPECT_FALSE(parse_time(wrong, 0)) << wrong;
}

TEST(Text, a_star_stops_at_a_slash_and_two_do_not) {
    EXPECT_TRUE(glob_match("*.tmp", "a.tmp"));
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_FALSE(glob_match("*.tmp", "b/a.tmp"));
    EXPECT_TRUE(glob_match("/srv/*/x", "/srv/a/x"));
    EXPECT_FALSE(glob_match("/srv/*/x", "/srv/a/b/x"));
    EXPECT_TRUE(glob_match("/srv/**/x", "/srv/a/b/x"));
    EXPECT_TRUE(glob_match("/srv/**", "/srv/a/b/x"));
    EXPECT_FALSE(glob_match("/srv/**", "/srv"));
    EXPECT_TRUE(glob_match("a**z", "a/b/z"));
    EXPECT_TRUE(glob_match("***", "a/b"));
    EXPECT_FALSE(glob_match("?", "/"));
    EXPECT_TRUE(glob_match("a?c", "abc"));
    EXPECT_FALSE(glob_match("a?c", "ac"));
}

TEST(Text, two_stars_and_a_slash_also_match_nothing) {
    EXPECT_TRUE(glob_match("**/x", "x"));
    EXPECT_TRUE(glob_match("**/x", "a/b/x"));
    EXPECT_TRUE(glob_match("**/x", "/x"));
    EXPECT_FALSE(glob_match("**/x", "ax"));
    EXPECT_FALSE(glob_match("**/x", "a/bx"));
    EXPECT_TRUE(glob_match("a/**/b", "a/b"));
    EXPECT_TRUE(glob_match("a/**/b", "a/x/y/b"));
    EXPECT_FALSE(glob_match("a/**/b", "a/xb"));
    EXPECT_TRUE(glob_match("**/a*c/**/?.h", "q/abc/w/e/x.h"));
    EXPECT_FALSE(glob_match("**/a*c/**/?.h", "q/abd/w/e/x.h"));
}

TEST(Text, classes_escapes_and_characters_of_several_bytes_match) {
    EXPECT_TRUE(glob_match("[a-c]1", "b1"));
    EXPECT_FALSE(glob_match("[a-c]1", "d1"));
    EXPECT_TRUE(glob_match("[!a-c]1", "d1"));
    EXPECT_TRUE(glob_match("[^a-c]1", "d1"));
    EXPECT_TRUE(glob_match("[]x]", "]"));
    EXPECT_TRUE(glob_match("[a-]", "-"));
    EXPECT_TRUE(glob_match("[\\]]", "]"));
    EXPECT_FALSE(glob_match("[!a]", "/"));
    EXPECT_TRUE(glob_match("[ab", "[ab"));
    EXPECT_TRUE(glob_match("\\*", "*"));
    EXPECT_FALSE(glob_match("\\*", "x"));
    EXPECT_TRUE(glob_match("a\\", "a\\"));
    EXPECT_TRUE(glob_match("f?r", "f\xc3\xbcr"));
    EXPECT_TRUE(glob_match("f[\xc3\xa4-\xc3\xbc]r", "f\xc3\xbcr"));
    EXPECT_TRUE(glob_match("f?r", "f\xffr"));
    EXPECT_TRUE(glob_match("*.\xff", "x.\xff"));
}

TEST(Text, hostile_patterns_take_no_exponential_time) {
    std::string pattern;
    for (int i = 0; i < 40; ++i) pattern += "*a";
    EXPECT_FALSE(glob_match(pattern + "b", std::string(2000, 'a')));
    std::string deep;
    for (int i = 0; i < 40; ++i) deep += "**/a";
    EXPECT_FALSE(glob_match(deep + "b", std::string(2000, 'a')));
    EXPECT_FALSE(glob_match("**a**a**a**a**a**b", std::string(2000, 'a')));
}

// The plain definition, exponential and obvious.
bool plain_match(std::string_view pattern, std::string_view path) {
    if (pattern.empty()) return path.empty();
    if (pattern.starts_with("**")) {
        if (plain_match(pattern.substr(2), path)) return true;
        return !path.empty() && plain_match(pattern, path.substr(1));
    }
    if (pattern[0] == '*') {
        if (plain_match(pattern.substr(1), path)) return true;
        return !path.empty() && path[0] != '/' && plain_match(pattern, path.substr(1));
    }
    return !path.empty() && (pattern[0] == '?' ? path[0] != '/' : pattern[0] == path[0]) &&
           plain_match(pattern.substr(1), path.substr(1));
}

TEST(Text, matching_agrees_with_the_plain_definition) {
    constexpr std::string_view pattern_letters = "ab*?/";
    constexpr std::string_view path_letters = "ab/";
    std::uint32_t seed = 12345;
    const auto next = [&](std::size_t below) {
        seed = seed * 1664525 + 1013904223;
        return (seed >> 8) % below;
    };
    for (int i = 0; i < 20000; ++i) {
        std::string pattern(next(8), 'a');
        for (char& c : pattern) c = pattern_letters[next(pattern_letters.size())];
        std::string path(next(9), 'a');
        for (char& c : path) c = path_letters[next(path_letters.size())];
        if (pattern.find("**/") != std::string::npos) continue;  // its shortcut is not in the plain definition
        ASSERT_EQ(glob_match(pattern, path), plain_match(pattern, path)) << pattern << " on " << path;
    }
}

TEST(Text, what_is_a_pattern_is_known) {
    EXPECT_TRUE(has_glob("*.x"));
    EXPECT_TRUE(has_glob("a?"));
    EXPECT_TRUE(has_glob("[ab]"));
    EXPECT_FALSE(has_glob("/a/b"));
    EXPECT_FALSE(has_glob("a\\*b"));
}

TEST(Text, the_nearest_name_is_found_and_far_ones_are_not) {
    const std::vector<std::string> names{"snapshots", "restore", "check", "exclude", "exclude_caches", "paths"};
    EXPECT_EQ(nearest("snapshot", names), "snapshots");
    EXPECT_EQ(nearest("snap", names), "snapshots");
    EXPECT_EQ(nearest("restroe", names), "restore");
    EXPECT_EQ(nearest("chekc", names), "check");
    EXPECT_EQ(nearest("exclude-caches", names), "exclude_caches");
    EXPECT_EQ(nearest("Paths", names), "paths");
    EXPECT_EQ(nearest("pahts", names), "paths");
    EXPECT_FALSE(nearest("xyzzy", names));
    EXPECT_FALSE(nearest("", names));
    EXPECT_FALSE(nearest("a", names));
    EXPECT_FALSE(nearest(std::string(100, 'a'), names));
}

TEST(Text, utf8_is_checked_strictly) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("f\xc3\xbcr \xe2\x82\xac \xf0\x9f\x98\x80"));
    for (const char* wrong : {"\xff", "\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                              "\xf0\x80\x80\xaf", "a\xe2\x82"})
        EXPECT_FALSE(is_utf8(wrong));
    EXPECT_EQ(to_valid_utf8("a\xff\xc3\xbc\xe2\x82"), "a\xef\xbf\xbd\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd");
    EXPECT_EQ(utf8::columns("f\xc3\xbcr\xff"), 4U);
}

TEST(Text, nothing_that_is_printed_can_move_the_cursor) {
    EXPECT_EQ(printable("a b"), "a b");
    EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
    EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
    EXPECT_EQ(printable("\x7f"), "\\x7f");
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b");
    EXPECT_EQ(printable("x\xff"), "x\\xff");
    EXPECT_EQ(printable("a\xe2\x80\xaez"), "a\\xe2\\x80\\xaez");
    EXPECT_EQ(printable("f\xc3\xbcr"), "f\xc3\xbcr");
    EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Text, split_and_join_undo_each_other) {
    EXPECT_EQ(split("a,b,,c", ','), (std::vector<std::string>{"a", "b", "", "c"}));
    EXPECT_EQ(split("", ','), std::vector<std::string>{""});
    EXPECT_EQ(join(split("a,b,,c", ','), ","), "a,b,,c");
    EXPECT_EQ(join({}, ","), "");
}

}  // namespace
}  // namespace holdfast
