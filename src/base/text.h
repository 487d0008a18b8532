// base/text.h: what people read and type: sizes, durations, times, globs, nearest names.
//
// Units    bytes; nanoseconds since 1970 UTC
// Errors   parsers return nothing for what they do not understand; callers know how to say it
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/world.h"

namespace holdfast {

std::string human_bytes(std::uint64_t bytes);      // "1.24 GB" (decimal units, as disks are sold)
std::string human_duration(Nanoseconds duration);  // "85 ms", "3.2 s", "4 min 10 s", "2 d 3 h"
std::string human_count(std::uint64_t count);      // "1,234,567"
std::string rfc3339(Nanoseconds time);             // "2026-03-01T04:10:00Z", with fraction when there is one
std::string rfc3339_seconds(Nanoseconds time);     // without fraction
std::string local_time(Nanoseconds time);          // "2026-03-01 04:10:00" in local time

std::optional<std::uint64_t> parse_size(std::string_view text);    // "10", "16K", "5G", "1.5MiB": powers of 1024
std::optional<Nanoseconds> parse_duration(std::string_view text);  // "90s", "15m", "2h", "30d", "6w", "2y", "1h30m"
// RFC 3339, "YYYY-MM-DD hh:mm[:ss]" in local time, a date (its end), or an age such as "2h".
std::optional<Nanoseconds> parse_time(std::string_view text, Nanoseconds now);

// Shell pattern on a path: `*` and `?` stop at '/', `**` does not, [classes]; a leading "**/" also matches nothing.
bool glob_match(std::string_view pattern, std::string_view path);
bool has_glob(std::string_view text);

// The candidate most like `text`, when one is near enough to be a likely slip.
std::optional<std::string> nearest(std::string_view text, std::span<const std::string> candidates);

bool is_utf8(std::string_view text);
std::string to_valid_utf8(std::string_view text);  // replacement character for what is not
// For one line of a terminal: control characters and invalid UTF-8 shown as \n, \t, \xHH.
std::string printable(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);

}  // namespace holdfast
