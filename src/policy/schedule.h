// policy/schedule.h: when a job is due: five-field cron expressions in a time zone. Pure: no clock.
//
// Shape    Schedule::parse("0 2 * * *", "Europe/Berlin").next(after); fields are minute, hour, day of month, month, day of
//          week, with names, lists, ranges, steps, `L` (last day, `5L` last Friday), `1#1` (first Monday), `@daily` forms;
//          days of month and of week that are both given are alternatives, as in every cron
// Units    nanoseconds since 1970 UTC; due times are whole minutes
// Errors   config, with the nearest right form as the hint
// I1  a time that the clocks skip is due once, when they have been put forward; one that they repeat is due once, the
//     first time; with `*` as the hour a schedule follows real time instead, as no hour is special to it
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/world.h"

namespace date {
class time_zone;
}

namespace holdfast::policy {

class Schedule {
public:
    static Schedule parse(std::string_view text, std::string_view zone = "UTC");

    // The first due time after `after`; nothing when there is none within the calendar's cycles, such as 30 February.
    std::optional<Nanoseconds> next(Nanoseconds after) const;
    // As systemd's OnCalendar= has it; several of them mean any.
    std::vector<std::string> on_calendar() const;
    const std::string& text() const { return text_; }
    const std::string& zone_name() const { return zone_name_; }
    // Only what other crons understand: no `#` and no `L`.
    bool is_plain() const;
    std::string five_fields() const;  // `@daily` written out

private:
    struct Day;
    void read_fields();
    bool is_due_on(const Day& day) const;
    std::optional<Nanoseconds> first_on(const Day& day, Nanoseconds after, bool& clocks_change) const;
    std::optional<Nanoseconds> first_on_plain(Nanoseconds midnight, Nanoseconds after) const;
    std::optional<Nanoseconds> first_on_changing(const Day& day, Nanoseconds after) const;

    std::string text_;
    std::string zone_name_;
    const date::time_zone* zone_ = nullptr;  // none: UTC, which needs no database
    std::array<std::string, 5> fields_;
    std::uint64_t minutes_ = 0;
    std::uint32_t hours_ = 0;
    std::uint32_t days_ = 0;  // bit n: day n
    bool last_day_ = false;
    std::uint32_t months_ = 0;
    std::uint32_t weekdays_ = 0;                  // bit 0: Sunday
    std::array<std::uint8_t, 7> nth_weekdays_{};  // bit n: the nth of the month, bit 0: the last
    bool any_day_ = false;
    bool any_weekday_ = false;
};

// How long after its due time a job starts, below `jitter_max`: a hash of its name, the same on every machine and day.
Nanoseconds jitter_of(std::string_view job, Nanoseconds jitter_max);

// "22:00-06:00": hours of the day in which work may start; may go over midnight.
struct AllowedHours {
    int from_minute = 0;
    int to_minute = 24 * 60;  // not included
};
AllowedHours parse_allowed_hours(std::string_view text);
// `time` itself when it is allowed, else when the hours next begin, in the zone.
Nanoseconds next_allowed(const AllowedHours& hours, std::string_view zone, Nanoseconds time);

}  // namespace holdfast::policy
