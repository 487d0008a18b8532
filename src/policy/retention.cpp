#include "policy/retention.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include "base/text.h"

namespace holdfast::policy {

namespace {

constexpr Nanoseconds one_day = 24 * 3600 * one_second;

struct LocalTime {
    std::tm parts{};
    std::string date() const {
        return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    }
};

LocalTime local(Nanoseconds time) {
    std::int64_t seconds = time / one_second;
    if (time % one_second < 0) --seconds;
    const std::time_t at = seconds;
    LocalTime out;
    localtime_r(&at, &out.parts);
    return out;
}

// Where clocks are turned back an hour comes twice; the zone's offset tells the two apart.
std::string hour_of(const LocalTime& at) {
    const long offset = at.parts.tm_gmtoff / 60;
    const long size = offset < 0 ? -offset : offset;
    return fmt::format("{} {:02}:00{}{:02}:{:02}", at.date(), at.parts.tm_hour, offset < 0 ? '-' : '+', size / 60,
                       size % 60);
}

// ISO 8601: a week belongs to the year of its Thursday. strftime's %G and %V are just that.
std::string week_of(const LocalTime& at) {
    char text[32];
    const std::size_t length = std::strftime(text, sizeof text, "%G-W%V", &at.parts);
    return {text, length};
}

std::string day_of(const LocalTime& at) { return at.date(); }
std::string month_of(const LocalTime& at) { return at.date().substr(0, at.date().size() - 3); }
std::string year_of(const LocalTime& at) { return std::to_string(at.parts.tm_year + 1900); }

struct Period {
    std::string_view name;
    std::uint32_t Retention::*count;
    std::string (*of)(const LocalTime&);
};

constexpr Period periods[] = {
    {"hourly", &Retention::hourly, hour_of}, {"daily", &Retention::daily, day_of},
    {"weekly", &Retention::weekly, week_of}, {"monthly", &Retention::monthly, month_of},
    {"yearly", &Retention::yearly, year_of},
};

bool has_tag(const Candidate& candidate, std::string_view wanted) {
    const std::size_t equals = wanted.find('=');
    const auto found = candidate.tags.find(std::string(wanted.substr(0, equals)));
    if (found == candidate.tags.end()) return false;
    return equals == std::string_view::npos || found->second == wanted.substr(equals + 1);
}

std::string text_of(Nanoseconds length) {
    if (length > 0 && length % one_day == 0) return fmt::format("{} d", length / one_day);
    return human_duration(length);
}

class Group {
public:
    Group(std::span<const Candidate> all, std::vector<std::size_t> members,
          std::vector<std::vector<std::string>>& reasons)
        : all_(all), newest_first_(std::move(members)), reasons_(reasons) {
        std::ranges::sort(newest_first_, std::greater(), [&](std::size_t i) { return std::pair(all_[i].received, i); });
    }

    void apply(const Retention& rules) {
        keep_last(rules.last);
        for (const Period& period : periods) keep_periods(period, rules.*period.count);
        if (rules.within) keep_within(*rules.within);
        for (const std::string& tag : rules.tags) keep_tagged(tag);
        keep_good(rules.last_good);
        for (const std::size_t i : newest_first_) {
            if (all_[i].held) reasons_[i].emplace_back("held");
        }
    }

private:
    // The newest ones, flagged or not, and as many unflagged ones: a run of suspicious backups must not push the
    // last sound ones out.
    void keep_last(std::uint32_t count) {
        std::uint32_t any = 0;
        std::uint32_t sound = 0;
        for (const std::size_t i : newest_first_) {
            const bool is_newest = any < count;
            const bool is_sound = !all_[i].flagged && sound < count;
            if (is_newest) ++any;
            if (is_sound) ++sound;
            if (is_newest || is_sound) reasons_[i].push_back(fmt::format("last {}", count));
        }
    }

    void keep_periods(const Period& period, std::uint32_t count) {
        std::uint32_t kept = 0;
        for (std::size_t at = 0; at < newest_first_.size() && kept < count; ++kept) {
            const std::string name = period.of(local(all_[newest_first_[at]].received));
            std::size_t chosen = at;
            std::size_t end = at;
            for (; end < newest_first_.size() && period.of(local(all_[newest_first_[end]].received)) == name; ++end) {
                if (all_[newest_first_[chosen]].flagged && !all_[newest_first_[end]].flagged) chosen = end;
            }
            reasons_[newest_first_[chosen]].push_back(fmt::format("{} {}", period.name, name));
            at = end;
        }
    }

    void keep_within(Nanoseconds length) {
        Nanoseconds oldest = 0;
        if (__builtin_sub_overflow(all_[newest_first_.front()].received, length, &oldest)) oldest = INT64_MIN;
        for (const std::size_t i : newest_first_) {
            if (all_[i].received >= oldest) reasons_[i].push_back(fmt::format("within {}", text_of(length)));
        }
    }

    void keep_good(std::uint32_t count) {
        for (const std::size_t i : newest_first_) {
            if (count == 0) return;
            if (!all_[i].good) continue;
            reasons_[i].emplace_back("last good");
            --count;
        }
    }

    void keep_tagged(const std::string& tag) {
        for (const std::size_t i : newest_first_) {
            if (has_tag(all_[i], tag)) reasons_[i].push_back(fmt::format("tag {}", tag));
        }
    }

    std::span<const Candidate> all_;
    std::vector<std::size_t> newest_first_;
    std::vector<std::vector<std::string>>& reasons_;
};

constexpr RetentionClass classes[] = {
    {"operational", 30 * one_day}, {"dr", 90 * one_day}, {"compliance", 7 * 365 * one_day}, {"test", 7 * one_day}};

}  // namespace

std::span<const RetentionClass> retention_classes() { return classes; }

std::optional<Retention> retention_class(std::string_view name) {
    for (const RetentionClass& each : classes)
        if (each.name == name) return Retention{.within = each.within};
    return std::nullopt;
}

std::vector<std::vector<std::string>> keep_reasons(std::span<const Candidate> candidates, const Retention& rules) {
    std::vector<std::vector<std::string>> reasons(candidates.size());
    std::map<std::pair<std::string, bool>, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < candidates.size(); ++i)
        groups[{candidates[i].group, has_tag(candidates[i], imported_tag)}].push_back(i);
    for (auto& [name, members] : groups) Group(candidates, std::move(members), reasons).apply(rules);
    return reasons;
}

}  // namespace holdfast::policy
