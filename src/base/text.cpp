#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

namespace holdfast {

namespace {

constexpr Nanoseconds minute = 60 * one_second;
constexpr Nanoseconds hour = 60 * minute;
constexpr Nanoseconds day = 24 * hour;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes a run of digits from the front of `text`; nothing when there is none or it does not fit.
std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t value = 0;
    std::size_t at = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) {
        if (__builtin_mul_overflow(value, 10, &value)) return std::nullopt;
        if (__builtin_add_overflow(value, static_cast<std::uint64_t>(text[at] - '0'), &value)) return std::nullopt;
    }
    if (at == 0) return std::nullopt;
    text.remove_prefix(at);
    return value;
}

// Exactly `digits` digits.
std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        if (!is_digit(text[i])) return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take_char(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return out;
}

// Proleptic Gregorian calendar, days since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
std::int64_t days_from_civil(std::int64_t year, int month, int day_of_month) {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day_of_month - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

struct Civil {
    std::int64_t year = 1970;
    int month = 1;
    int day = 1;
};

Civil civil_from_days(std::int64_t days) {
    days += 719468;
    const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const std::int64_t day_of_era = days - era * 146097;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
    const std::int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), static_cast<int>(month),
            static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

int days_in_month(std::int64_t year, int month) {
    constexpr std::array lengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : lengths[static_cast<std::size_t>(month - 1)];
}

struct SplitTime {
    std::int64_t seconds;
    std::int64_t nanoseconds;  // 0 … 999,999,999, also before 1970
};

SplitTime split_time(Nanoseconds time) {
    std::int64_t seconds = time / one_second;
    std::int64_t rest = time % one_second;
    if (rest < 0) {
        rest += one_second;
        --seconds;
    }
    return {seconds, rest};
}

std::string utc_text(std::int64_t seconds) {
    std::int64_t days = seconds / 86400;
    std::int64_t rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        --days;
    }
    const Civil date = civil_from_days(days);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", date.year, date.month, date.day, rest / 3600,
                       rest / 60 % 60, rest % 60);
}

std::optional<Nanoseconds> instant(std::int64_t seconds, std::int64_t nanoseconds) {
    Nanoseconds out = 0;
    if (__builtin_mul_overflow(seconds, one_second, &out)) return std::nullopt;
    if (__builtin_add_overflow(out, nanoseconds, &out)) return std::nullopt;
    return out;
}

struct DateAndTime {
    Civil date;
    int hour = 0;
    int minute = 0;
    int second = 0;
    std::int64_t nanoseconds = 0;
};

std::optional<Civil> take_date(std::string_view& text) {
    const auto year = take_digits(text, 4);
    if (!year || !take_char(text, '-')) return std::nullopt;
    const auto month = take_digits(text, 2);
    if (!month || *month < 1 || *month > 12 || !take_char(text, '-')) return std::nullopt;
    const auto day_of_month = take_digits(text, 2);
    if (!day_of_month || *day_of_month < 1 || *day_of_month > days_in_month(*year, *month)) return std::nullopt;
    return Civil{*year, *month, *day_of_month};
}

// "hh:mm[:ss[.fraction]]"; digits of the fraction beyond nanoseconds are dropped.
bool take_clock(std::string_view& text, DateAndTime& out) {
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23 || !take_char(text, ':')) return false;
    const auto minutes = take_digits(text, 2);
    if (!minutes || *minutes > 59) return false;
    out.hour = *hours;
    out.minute = *minutes;
    if (!take_char(text, ':')) return true;
    const auto seconds = take_digits(text, 2);
    if (!seconds || *seconds > 60) return false;  // 60: a leap second, the instant after :59
    out.second = *seconds;
    if (!take_char(text, '.')) return true;
    if (text.empty() || !is_digit(text.front())) return false;
    for (std::int64_t unit = one_second / 10; !text.empty() && is_digit(text.front()); unit /= 10) {
        out.nanoseconds += unit * (text.front() - '0');
        text.remove_prefix(1);
    }
    return true;
}

// "Z" or "±hh:mm"; nothing when what is left is neither.
std::optional<std::int64_t> zone_seconds(std::string_view text) {
    if (text == "Z" || text == "z") return 0;
    if (text.size() != 6 || (text.front() != '+' && text.front() != '-')) return std::nullopt;
    const int sign = text.front() == '-' ? -1 : 1;
    text.remove_prefix(1);
    const auto hours = take_digits(text, 2);
    if (!hours || *hours > 23 || !take_char(text, ':')) return std::nullopt;
    const auto minutes = take_digits(text, 2);
    if (!minutes || *minutes > 59) return std::nullopt;
    return sign * (*hours * 3600 + *minutes * 60);
}

std::optional<Nanoseconds> from_local(const DateAndTime& at) {
    std::tm parts{};
    parts.tm_year = static_cast<int>(at.date.year - 1900);
    parts.tm_mon = at.date.month - 1;
    parts.tm_mday = at.date.day;
    parts.tm_hour = at.hour;
    parts.tm_min = at.minute;
    parts.tm_sec = at.second;
    parts.tm_isdst = -1;
    return instant(std::mktime(&parts), at.nanoseconds);
}

}  // namespace

std::string human_bytes(std::uint64_t bytes) {
    if (bytes < 1000) return fmt::format("{} B", bytes);
    constexpr std::array units{"kB", "MB", "GB", "TB", "PB", "EB"};
    double value = static_cast<double>(bytes) / 1000;
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) {  // 999.5 would be printed as 1000
        value /= 1000;
        ++unit;
    }
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

std::string human_duration(Nanoseconds duration) {
    if (duration < 0) return "-" + human_duration(duration == INT64_MIN ? INT64_MAX : -duration);
    if (duration == 0) return "0 s";
    const double seconds = static_cast<double>(duration) / one_second;
    if (seconds < 0.00095) return fmt::format("{:.1f} ms", seconds * 1000);
    if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1000);
    if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
    const std::int64_t whole = duration / one_second + (duration % one_second >= one_second / 2 ? 1 : 0);
    const auto two = [](std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
        if (small == 0) return fmt::format("{} {}", big, big_unit);
        return fmt::format("{} {} {} {}", big, big_unit, small, small_unit);
    };
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
    if (whole < 86400) return two(whole / 3600, "h", whole / 60 % 60, "min");
    return two(whole / 86400, "d", whole / 3600 % 24, "h");
}

std::string human_count(std::uint64_t count) {
    const std::string digits = std::to_string(count);
    std::string out;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
        out += digits[i];
    }
    return out;
}

std::string rfc3339(Nanoseconds time) {
    const SplitTime parts = split_time(time);
    std::string out = utc_text(parts.seconds);
    if (parts.nanoseconds != 0) {
        std::string fraction = fmt::format(".{:09}", parts.nanoseconds);
        fraction.erase(fraction.find_last_not_of('0') + 1);
        out += fraction;
    }
    return out + "Z";
}

std::string rfc3339_seconds(Nanoseconds time) { return utc_text(split_time(time).seconds) + "Z"; }

std::string local_time(Nanoseconds time) {
    const std::time_t seconds = split_time(time).seconds;
    std::tm parts{};
    localtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto whole = take_number(text);
    if (!whole) return std::nullopt;
    long double value = static_cast<long double>(*whole);
    if (take_char(text, '.')) {
        if (text.empty() || !is_digit(text.front())) return std::nullopt;
        for (long double unit = 0.1L; !text.empty() && is_digit(text.front()); unit /= 10) {
            value += unit * (text.front() - '0');
            text.remove_prefix(1);
        }
    }
    std::string unit = lower(text);
    if (unit.starts_with(' ')) unit.erase(0, 1);
    if (unit.ends_with("ib")) {
        unit.erase(unit.size() - 2);
        if (unit.empty()) return std::nullopt;
    } else if (unit.ends_with('b')) {
        unit.pop_back();
    }
    constexpr std::string_view units = "kmgtpe";
    if (unit.size() > 1) return std::nullopt;
    if (!unit.empty()) {
        const std::size_t power = units.find(unit.front());
        if (power == std::string_view::npos) return std::nullopt;
        value = std::ldexp(value, static_cast<int>(10 * (power + 1)));
    }
    if (value >= 18446744073709551616.0L) return std::nullopt;
    return static_cast<std::uint64_t>(value);
}

std::optional<Nanoseconds> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        Nanoseconds length;
    };
    constexpr std::array units{Unit{"y", 365 * day}, Unit{"w", 7 * day},    Unit{"d", day},       Unit{"h", hour},
                               Unit{"m", minute},    Unit{"s", one_second}, Unit{"ms", 1'000'000}};
    if (text.empty()) return std::nullopt;
    Nanoseconds total = 0;
    std::size_t next_unit = 0;  // from large to small, each once: "30m1h" is a slip
    while (!text.empty()) {
        const auto count = take_number(text);
        if (!count) return std::nullopt;
        const std::string_view name = text.substr(0, std::min(text.find_first_of("0123456789"), text.size()));
        text.remove_prefix(name.size());
        std::size_t unit = next_unit;
        while (unit < units.size() && units[unit].name != name) ++unit;
        if (unit == units.size()) return std::nullopt;
        next_unit = unit + 1;
        Nanoseconds part = 0;
        if (__builtin_mul_overflow(*count, units[unit].length, &part)) return std::nullopt;
        if (__builtin_add_overflow(total, part, &total)) return std::nullopt;
    }
    return total;
}

std::optional<Nanoseconds> parse_time(std::string_view text, Nanoseconds now) {
    if (const auto age = parse_duration(text)) {
        Nanoseconds out = 0;
        if (__builtin_sub_overflow(now, *age, &out)) return std::nullopt;
        return out;
    }
    DateAndTime at;
    const auto date = take_date(text);
    if (!date) return std::nullopt;
    at.date = *date;
    if (text.empty()) {
        ++at.date.day;  // mktime knows what follows the 31st, and that a day may have 23 hours
        const auto next_day = from_local(at);
        return next_day ? std::optional(*next_day - 1) : std::nullopt;
    }
    if (!take_char(text, 'T') && !take_char(text, 't') && !take_char(text, ' ')) return std::nullopt;
    if (!take_clock(text, at)) return std::nullopt;
    if (text.empty()) return from_local(at);
    const auto zone = zone_seconds(text);
    if (!zone) return std::nullopt;
    const std::int64_t days = days_from_civil(at.date.year, at.date.month, at.date.day);
    return instant(days * 86400 + at.hour * 3600 + at.minute * 60 + at.second - *zone, at.nanoseconds);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> out;
    while (true) {
        const std::size_t end = text.find(separator);
        out.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return out;
        text.remove_prefix(end + 1);
    }
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
    std::string out;
    for (const std::string& part : parts) {
        if (&part != &parts.front()) out += separator;
        out += part;
    }
    return out;
}

}  // namespace holdfast
