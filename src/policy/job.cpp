#include "policy/job.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace holdfast::policy {

std::string_view kind_of(const Task& task) {
    constexpr std::array<std::string_view, std::variant_size_v<Task>> names{"backup", "prove", "export",
                                                                            "forget", "prune", "check"};
    return names[task.index()];
}

std::optional<std::uint8_t> parse_level(std::string_view text) {
    if (text.starts_with('V') || text.starts_with('v')) text.remove_prefix(1);
    if (text.size() != 1 || text[0] < '0' || text[0] > '4') return std::nullopt;
    return static_cast<std::uint8_t>(text[0] - '0');
}

std::optional<CheckTask> parse_read_data(std::string_view text) {
    CheckTask out;
    out.read_data = true;
    if (!text.ends_with('%')) {
        out.bytes_max = parse_size(text);
        return out.bytes_max ? std::optional(out) : std::nullopt;
    }
    double percent = 0;
    const char* const last = text.data() + text.size() - 1;
    const auto [end, failure] = std::from_chars(text.data(), last, percent);
    if (failure != std::errc{} || end != last || !(percent > 0 && percent <= 100)) return std::nullopt;
    out.share = percent / 100;
    return out;
}

std::string_view plain_format(std::string_view format) {
    if (format.ends_with(".gz")) format.remove_suffix(3);
    return format;
}

Nanoseconds pause_after(const Retries& retries, int attempt) {
    constexpr int doublings_max = 16;
    return retries.backoff << std::min(attempt - 1, doublings_max);
}

std::optional<Nanoseconds> longest_gap(const Schedule& schedule, Nanoseconds from) {
    constexpr Nanoseconds year = 400 * Nanoseconds{86400} * one_second;
    constexpr int due_min = 10;
    constexpr int due_max = 10'000;  // a week of every minute
    std::optional<Nanoseconds> longest;
    auto due = schedule.next(from);
    for (int count = 1; due && count < due_max && (*due - from < year || count < due_min); ++count) {
        const auto next = schedule.next(*due);
        if (next) longest = std::max(longest.value_or(0), *next - *due);
        due = next;
    }
    return longest;
}

std::optional<Nanoseconds> overdue_after(const Job& job, Nanoseconds from) {
    if (job.overdue_after) return job.overdue_after;
    if (!job.schedule) return std::nullopt;
    const auto gap = longest_gap(*job.schedule, from);
    return gap ? std::optional(*gap + *gap / 4) : std::nullopt;
}

}  // namespace holdfast::policy
