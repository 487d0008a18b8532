#include "policy/schedule.h"

#include <date/date.h>
#include <date/tz.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <span>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::policy {

namespace {

constexpr Nanoseconds one_minute = 60 * one_second;
constexpr int minutes_a_day = 24 * 60;
constexpr int days_ahead_max = 8 * 366 + 31;  // over a century that is no leap year, 29 February is 8 years away
constexpr int weekday_last = 0;

using Minutes = std::chrono::minutes;
using LocalMinutes = date::local_time<Minutes>;
using SysMinutes = date::sys_time<Minutes>;

constexpr std::array<std::string_view, 12> month_names{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                       "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> weekday_names{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

struct Form {
    std::string_view name;
    std::string_view fields;
};
constexpr std::array<Form, 7> forms{{{"@yearly", "0 0 1 1 *"},
                                     {"@annually", "0 0 1 1 *"},
                                     {"@monthly", "0 0 1 * *"},
                                     {"@weekly", "0 0 * * 0"},
                                     {"@daily", "0 0 * * *"},
                                     {"@midnight", "0 0 * * *"},
                                     {"@hourly", "0 * * * *"}}};

struct FieldKind {
    std::string_view name;
    int least;
    int most;
    std::span<const std::string_view> names;
    int first_name;  // the number of the first name
};
constexpr std::array<FieldKind, 5> field_kinds{{{"minute", 0, 59, {}, 0},
                                                {"hour", 0, 23, {}, 0},
                                                {"day of the month", 1, 31, {}, 0},
                                                {"month", 1, 12, month_names, 1},
                                                {"day of the week", 0, 7, weekday_names, 0}}};

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

// The numbers of one field, as bits; `#` and `L` are taken off before.
class Field {
public:
    Field(const FieldKind& kind, std::string_view schedule) : kind_(kind), schedule_(schedule) {}

    std::uint64_t element(std::string_view text) const {
        const std::size_t slash = text.find('/');
        const std::string_view range = text.substr(0, slash);
        int step = 1;
        if (slash != std::string_view::npos) {
            const auto given = number(text.substr(slash + 1));
            if (!given || *given < 1) fail(text, "its step is no whole number above 0", "Steps look like `*/15`.");
            step = *given;
            if (step > kind_.most - kind_.least)
                fail(text, fmt::format("a step of {} leaves the range {} to {}", step, kind_.least, kind_.most), "");
        }
        int first = kind_.least;
        int last = top();
        if (range != "*") {
            const std::size_t dash = range.find('-');
            first = value(range.substr(0, dash));
            last = dash != std::string_view::npos    ? value(range.substr(dash + 1))
                   : slash != std::string_view::npos ? std::max(first, top())
                                                     : first;
        }
        if (first > last)
            fail(text, "its range runs backwards",
                 fmt::format("Write `{}-{},{}-{}`.", first, top(), kind_.least, last));
        std::uint64_t out = 0;
        for (int each = first; each <= last; each += step) out |= std::uint64_t{1} << each;
        return out;
    }

    int value(std::string_view text) const {
        if (const auto given = number(text)) {
            if (*given < kind_.least || *given > kind_.most)
                fail(text, fmt::format("it goes from {} to {}", kind_.least, kind_.most), "");
            return *given;
        }
        const std::string name = upper(text);
        for (std::size_t i = 0; i < kind_.names.size(); ++i)
            if (name == kind_.names[i]) return kind_.first_name + static_cast<int>(i);
        std::vector<std::string> names(kind_.names.begin(), kind_.names.end());
        if (const auto near = nearest(name, names))
            fail(text, "there is no such name", "Did you mean `" + *near + "`?");
        if (names.empty())
            fail(text, fmt::format("it goes from {} to {}", kind_.least, kind_.most), "`*` means every one.");
        fail(text, "there is no such name",
             fmt::format("It is a number from {} to {}, or {}.", kind_.least, kind_.most, join(names, ", ")));
    }

    [[noreturn]] void fail(std::string_view text, std::string_view why, std::string hint) const {
        throw Error{Code::config, "schedule `{}`: `{}` is no {}: {}", schedule_, text, kind_.name, why}.hint(
            std::move(hint));
    }

    static std::optional<int> number(std::string_view text) {
        int out = 0;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
        if (text.empty() || failure != std::errc{} || end != text.data() + text.size() || out < 0) return std::nullopt;
        return out;
    }

private:
    // Of `*`: Sunday is there once.
    int top() const { return kind_.first_name == 0 && !kind_.names.empty() ? 6 : kind_.most; }

    const FieldKind& kind_;
    std::string_view schedule_;
};

std::string unform(std::string_view text) {
    if (!text.starts_with('@')) return std::string(text);
    std::vector<std::string> names;
    for (const Form& form : forms) {
        if (form.name == text) return std::string(form.fields);
        names.emplace_back(form.name);
    }
    Error error{Code::config, "schedule `{}`: there is no such form", text};
    if (text == "@reboot") throw std::move(error).hint("A job is due at times; `catch_up` runs one that was missed.");
    const auto near = nearest(text, names);
    throw std::move(error).hint(near ? "Did you mean `" + *near + "`?" : "There is " + join(names, ", ") + ".");
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    std::string word;
    for (const char c : text) {
        if (c != ' ' && c != '\t') {
            word += c;
        } else if (!word.empty()) {
            out.push_back(std::exchange(word, ""));
        }
    }
    if (!word.empty()) out.push_back(word);
    return out;
}

const date::time_zone* zone_named(std::string_view name) {
    if (name == "UTC" || name.empty()) return nullptr;
    try {
        return date::locate_zone(std::string(name));
    } catch (const std::exception&) {
        std::vector<std::string> names;
        try {
            for (const auto& zone : date::get_tzdb().zones) names.push_back(zone.name());
        } catch (const std::exception& failure) {
            throw Error{Code::config, "time zone `{}` cannot be looked up: {}", name, failure.what()}.hint(
                "Install the package `tzdata`; `UTC` needs none.");
        }
        Error error{Code::config, "there is no time zone `{}`", name};
        const auto near = nearest(name, names);
        throw std::move(error).hint(near ? "Did you mean `" + *near + "`?"
                                         : "It is a name such as `Europe/Berlin`, or `UTC`.");
    }
}

Nanoseconds nanoseconds(SysMinutes time) { return time.time_since_epoch().count() * one_minute; }

SysMinutes sys_floor(Nanoseconds time) {
    return date::floor<Minutes>(date::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(time)));
}

LocalMinutes local_of(const date::time_zone* zone, SysMinutes time) {
    return zone == nullptr ? LocalMinutes(time.time_since_epoch()) : date::floor<Minutes>(zone->to_local(time));
}

}  // namespace

struct Schedule::Day {
    date::local_days days;
    date::year_month_day date;
    explicit Day(date::local_days each) : days(each), date(each) {}
};

Schedule Schedule::parse(std::string_view text, std::string_view zone) {
    Schedule out;
    out.text_ = text;
    out.zone_name_ = zone.empty() ? "UTC" : zone;
    out.zone_ = zone_named(zone);
    const std::vector<std::string> words = words_of(unform(text));
    if (words.size() != out.fields_.size()) {
        Error error{Code::config, "schedule `{}` has {} instead of five fields", text, words.size()};
        throw std::move(error).hint(
            words.size() == 6
                ? "They are minute, hour, day of month, month, day of week; leave seconds or years out."
                : "They are minute, hour, day of month, month, day of week: `0 2 * * *` is daily at 02:00.");
    }
    std::ranges::copy(words, out.fields_.begin());
    out.read_fields();
    return out;
}

void Schedule::read_fields() {
    const auto each_element = [&](std::size_t at, const auto& take) {
        const Field field(field_kinds[at], text_);
        for (const std::string& element : split(fields_[at], ',')) take(field, std::string_view(element));
    };
    each_element(0, [&](const Field& field, std::string_view text) { minutes_ |= field.element(text); });
    each_element(1, [&](const Field& field, std::string_view text) {
        hours_ |= static_cast<std::uint32_t>(field.element(text));
    });
    each_element(2, [&](const Field& field, std::string_view text) {
        if (upper(text) == "L")
            last_day_ = true;
        else
            days_ |= static_cast<std::uint32_t>(field.element(text));
    });
    each_element(3, [&](const Field& field, std::string_view text) {
        months_ |= static_cast<std::uint32_t>(field.element(text));
    });
    each_element(4, [&](const Field& field, std::string_view text) {
        if (const std::size_t hash = text.find('#'); hash != std::string_view::npos) {
            const auto nth = Field::number(text.substr(hash + 1));
            if (!nth || *nth < 1 || *nth > 5)
                field.fail(text, "what follows `#` goes from 1 to 5", "`1#1` is the first Monday of the month.");
            nth_weekdays_[static_cast<std::size_t>(field.value(text.substr(0, hash)) % 7)] |=
                static_cast<std::uint8_t>(1 << *nth);
        } else if (text.size() > 1 && upper(text).ends_with('L')) {
            nth_weekdays_[static_cast<std::size_t>(field.value(text.substr(0, text.size() - 1)) % 7)] |=
                1 << weekday_last;
        } else {
            const std::uint64_t bits = field.element(text);
            weekdays_ |= static_cast<std::uint32_t>((bits | bits >> 7) & 0x7f);
        }
    });
    any_day_ = fields_[2].starts_with('*');
    any_weekday_ = fields_[4].starts_with('*');
}

bool Schedule::is_due_on(const Day& day) const {
    using date::last;
    const auto number = static_cast<unsigned>(day.date.day());
    if ((months_ >> static_cast<unsigned>(day.date.month()) & 1) == 0) return false;
    const auto last_number = static_cast<unsigned>((day.date.year() / day.date.month() / last).day());
    const bool by_day = (days_ >> number & 1) != 0 || (last_day_ && number == last_number);
    const unsigned weekday = date::weekday(day.days).c_encoding();
    const std::uint8_t nth = nth_weekdays_[weekday];
    const bool by_weekday = (weekdays_ >> weekday & 1) != 0 || (nth >> ((number + 6) / 7) & 1) != 0 ||
                            ((nth >> weekday_last & 1) != 0 && number + 7 > last_number);
    // A field that begins with `*` restricts together with the other one; two that do not are alternatives.
    return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

std::optional<Nanoseconds> Schedule::next(Nanoseconds after) const {
    const date::local_days today = date::floor<date::days>(local_of(zone_, sys_floor(after)));
    bool clocks_change = false;
    for (int ahead = -1; ahead <= days_ahead_max; ++ahead) {
        const Day day(today + date::days(ahead));
        if (!is_due_on(day)) continue;
        auto found = first_on(day, after, clocks_change);
        if (!found) continue;
        // Where the clocks are put back over midnight, the next day begins before this one ends.
        if (const Day tomorrow(day.days + date::days(1)); clocks_change && is_due_on(tomorrow))
            found = std::min(*found, first_on(tomorrow, after, clocks_change).value_or(*found));
        return found;
    }
    return std::nullopt;
}

std::optional<Nanoseconds> Schedule::first_on(const Day& day, Nanoseconds after, bool& clocks_change) const {
    Minutes offset{0};
    clocks_change = false;
    if (zone_ != nullptr) {
        const date::local_info begin = zone_->get_info(day.days);
        const date::local_info end = zone_->get_info(day.days + Minutes(minutes_a_day));
        clocks_change = begin.result != date::local_info::unique || end.result != date::local_info::unique ||
                        begin.first.begin != end.first.begin;
        offset = std::chrono::duration_cast<Minutes>(begin.first.offset);
        clocks_change = clocks_change || offset != begin.first.offset;
    }
    if (clocks_change) return first_on_changing(day, after);
    return first_on_plain(nanoseconds(SysMinutes(day.days.time_since_epoch() - offset)), after);
}

std::optional<Nanoseconds> Schedule::first_on_plain(Nanoseconds midnight, Nanoseconds after) const {
    const Nanoseconds passed = after < midnight ? 0 : (after - midnight) / one_minute + 1;
    for (int hour = static_cast<int>(std::min<Nanoseconds>(passed / 60, 24)); hour < 24; ++hour) {
        if ((hours_ >> hour & 1) == 0) continue;
        const auto least = static_cast<int>(std::max<Nanoseconds>(passed - hour * 60, 0));
        const std::uint64_t rest = least < 60 ? minutes_ >> least : 0;
        if (rest != 0) return midnight + (hour * 60 + least + std::countr_zero(rest)) * one_minute;
    }
    return std::nullopt;
}

std::optional<Nanoseconds> Schedule::first_on_changing(const Day& day, Nanoseconds after) const {
    constexpr std::uint32_t every_hour = (1U << 24) - 1;
    std::optional<Nanoseconds> out;
    const auto take = [&](date::sys_seconds time) {
        const Nanoseconds each = time.time_since_epoch().count() * one_second;
        if (each > after && (!out || each < *out)) out = each;
    };
    for (int minute = 0; minute < minutes_a_day; ++minute) {
        if ((hours_ >> (minute / 60) & 1) == 0 || (minutes_ >> (minute % 60) & 1) == 0) continue;
        const date::local_seconds wall = day.days + Minutes(minute);
        const date::local_info info = zone_->get_info(wall);
        if (info.result == date::local_info::nonexistent) {
            if (hours_ != every_hour) take(info.second.begin);
            continue;
        }
        take(date::sys_seconds(wall.time_since_epoch() - info.first.offset));
        if (info.result == date::local_info::ambiguous && hours_ == every_hour)
            take(date::sys_seconds(wall.time_since_epoch() - info.second.offset));
    }
    return out;
}

bool Schedule::is_plain() const {
    return !last_day_ && std::ranges::all_of(nth_weekdays_, [](std::uint8_t each) { return each == 0; });
}

std::string Schedule::five_fields() const { return join(fields_, " "); }

std::vector<std::string> Schedule::on_calendar() const {
    const auto list = [](std::uint64_t bits, const auto& text) {
        std::vector<std::string> out;
        for (int each = 0; each < 64; ++each)
            if ((bits >> each & 1) != 0) out.push_back(text(each));
        return join(out, ",");
    };
    const auto two_digits = [](int each) { return fmt::format("{:02}", each); };
    const auto weekday_name = [](int each) {
        const std::string_view name = weekday_names[static_cast<std::size_t>(each)];
        return fmt::format("{}{}{}", name[0], static_cast<char>(name[1] + 32), static_cast<char>(name[2] + 32));
    };
    constexpr std::uint32_t all_weekdays = 0x7f;
    const std::string months = fields_[3] == "*" ? "*" : list(months_, two_digits);
    const std::string time = fmt::format("{}:{}:00 {}", fields_[1] == "*" ? "*" : list(hours_, two_digits),
                                         fields_[0] == "*" ? "*" : list(minutes_, two_digits), zone_name_);
    const auto line = [&](std::uint32_t weekdays, const std::string& day) {
        const std::string prefix = weekdays == all_weekdays ? "" : list(weekdays, weekday_name) + " ";
        return fmt::format("{}*-{}{} {}", prefix, months, day, time);
    };
    const std::string days = fields_[2] == "*" ? "-*" : "-" + list(days_, two_digits);
    const bool restricted_together = any_day_ || any_weekday_;
    std::vector<std::string> out;
    if (days_ != 0 && (!restricted_together || weekdays_ != 0))
        out.push_back(line(restricted_together ? weekdays_ : all_weekdays, days));
    if (last_day_) out.push_back(line(any_weekday_ ? weekdays_ : all_weekdays, "~01"));
    if (!restricted_together && weekdays_ != 0) out.push_back(line(weekdays_, "-*"));
    for (std::size_t weekday = 0; weekday < nth_weekdays_.size(); ++weekday) {
        for (int nth = 1; nth <= 5; ++nth) {
            if ((nth_weekdays_[weekday] >> nth & 1) == 0) continue;
            const int first = nth * 7 - 6;
            out.push_back(line(1U << weekday, fmt::format("-{:02}..{:02}", first, std::min(first + 6, 31))));
        }
        if ((nth_weekdays_[weekday] >> weekday_last & 1) != 0) out.push_back(line(1U << weekday, "~07/1"));
    }
    return out;
}

Nanoseconds jitter_of(std::string_view job, Nanoseconds jitter_max) {
    if (jitter_max <= 0) return 0;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash ^= hash >> 32;
    return static_cast<Nanoseconds>(hash % static_cast<std::uint64_t>(jitter_max / one_second + 1)) * one_second;
}

namespace {

int minute_of_day(std::string_view text, std::string_view whole) {
    const std::size_t colon = text.find(':');
    const auto hour = Field::number(text.substr(0, colon));
    const auto minute = colon == std::string_view::npos ? std::nullopt : Field::number(text.substr(colon + 1));
    if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > minutes_a_day)
        throw Error{Code::config, "`{}` are no hours of a day", whole}.hint("Write them as `22:00-06:00`.");
    return *hour * 60 + *minute;
}

}  // namespace

AllowedHours parse_allowed_hours(std::string_view text) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos)
        throw Error{Code::config, "`{}` are no hours of a day", text}.hint("Write them as `22:00-06:00`.");
    const AllowedHours out{minute_of_day(text.substr(0, dash), text), minute_of_day(text.substr(dash + 1), text)};
    if (out.from_minute % minutes_a_day == out.to_minute % minutes_a_day && out.to_minute != minutes_a_day)
        throw Error{Code::config, "`{}` allows no time at all", text}.hint("Write them as `22:00-06:00`.");
    return out;
}

Nanoseconds next_allowed(const AllowedHours& hours, std::string_view zone_name, Nanoseconds time) {
    const date::time_zone* const zone = zone_named(zone_name);
    const LocalMinutes wall = local_of(zone, sys_floor(time));
    const date::local_days today = date::floor<date::days>(wall);
    const auto minute = static_cast<int>((wall - today).count());
    const bool inside = hours.from_minute < hours.to_minute ? minute >= hours.from_minute && minute < hours.to_minute
                                                            : minute >= hours.from_minute || minute < hours.to_minute;
    if (inside) return time;
    const date::local_days day = minute < hours.from_minute ? today : today + date::days(1);
    const LocalMinutes begin = day + Minutes(hours.from_minute);
    if (zone == nullptr) return nanoseconds(SysMinutes(begin.time_since_epoch()));
    return nanoseconds(date::floor<Minutes>(zone->to_sys(begin, date::choose::earliest)));
}

}  // namespace holdfast::policy
