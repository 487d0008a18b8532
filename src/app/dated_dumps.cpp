#include "app/dated_dumps.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr std::string_view digits = "dddd-dd-dd-dddddd";

// The time in the name of a dump; nothing when it is no dump of this source.
std::optional<Nanoseconds> time_of(const std::string& name, const std::string& source) {
    if (!name.starts_with(source + "-") || name.size() <= source.size() + 1 + digits.size()) return std::nullopt;
    const std::string stamp = name.substr(source.size() + 1, digits.size());
    for (std::size_t i = 0; i < digits.size(); ++i)
        if (digits[i] == 'd' ? stamp[i] < '0' || stamp[i] > '9' : stamp[i] != '-') return std::nullopt;
    if (name[source.size() + 1 + digits.size()] != '.') return std::nullopt;
    return parse_time(
        fmt::format("{}T{}:{}:{}Z", stamp.substr(0, 10), stamp.substr(11, 2), stamp.substr(13, 2), stamp.substr(15, 2)),
        0);
}

}  // namespace

std::string dump_name(const std::string& source, Nanoseconds time) {
    const std::string text = rfc3339_seconds(time);  // 2026-03-01T02:00:00Z
    return fmt::format("{}-{}-{}{}{}", source, text.substr(0, 10), text.substr(11, 2), text.substr(14, 2),
                       text.substr(17, 2));
}

std::string folder_of_all_dates(const std::string& to) {
    const std::size_t date = to.find('{');
    const std::size_t end = date == std::string::npos ? to.size() : to.rfind('/', date);
    std::string out = end == std::string::npos ? "." : to.substr(0, end);
    while (out.ends_with('/')) out.pop_back();
    return out.empty() ? "/" : out;
}

std::vector<std::string> remove_old_dumps(const std::string& folder, const std::string& source, Nanoseconds now,
                                          Nanoseconds keep, Log& log) {
    namespace fs = std::filesystem;
    std::vector<fs::path> old;
    std::error_code failure;
    for (const auto& entry : fs::recursive_directory_iterator(folder, failure)) {
        const auto time = entry.is_regular_file() ? time_of(entry.path().filename(), source) : std::nullopt;
        if (time && now - *time > keep) old.push_back(entry.path());
    }
    std::vector<std::string> out;
    for (const fs::path& path : old) {
        if (!fs::remove(path, failure)) {
            log.warning(fmt::format("the old dump {} cannot be removed: {}", path.string(), failure.message()));
            continue;
        }
        out.push_back(path);
        if (path.parent_path() != fs::path(folder)) fs::remove(path.parent_path(), failure);  // when it is empty
    }
    return out;
}

}  // namespace holdfast::app
