#include "app/dated_dumps.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <span>

#include "base/text.h"

namespace holdfast::app {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view any_date = "####-##-##";
constexpr std::string_view any_time = "######";

std::string with_dates(std::string path, std::string_view date, std::string_view time) {
    const auto replace = [&](std::string_view what, std::string_view with) {
        for (std::size_t at; (at = path.find(what)) != std::string::npos;) path.replace(at, what.size(), with);
    };
    replace("{date}", date);
    replace("{time}", time);
    return path;
}

// `stamp`: what stands for the time in its name.
std::string dump_path(const policy::ExportTask& task, const std::string& format, std::string_view stamp) {
    const std::string_view plain = policy::plain_format(format);
    std::string folder = with_dates(task.to, stamp.substr(0, any_date.size()), stamp.substr(any_date.size() + 1));
    if (!folder.ends_with('/')) folder += '/';
    return fmt::format("{}{}-{}.{}{}", folder, task.source, stamp, plain == "custom" ? "dump" : plain,
                       plain == format ? "" : ".gz");
}

bool is_like(std::string_view name, std::string_view shape) {
    return std::ranges::equal(
        name, shape, [](char c, char wanted) { return c == wanted || (wanted == '#' && c >= '0' && c <= '9'); });
}

std::optional<Nanoseconds> time_of(std::string_view stamp) {
    return parse_time(
        fmt::format("{}T{}:{}:{}Z", stamp.substr(0, 10), stamp.substr(11, 2), stamp.substr(13, 2), stamp.substr(15, 2)),
        0);
}

// The dumps of one format.
class OldDumps {
public:
    OldDumps(const policy::ExportTask& task, const std::string& format, Nanoseconds now, Log& log)
        : task_(task), format_(format), is_folder_(policy::plain_format(format) == "directory"), now_(now), log_(log) {
        const fs::path base = fs::path(folder_of_all_dates(task.to)).lexically_normal();
        const fs::path all = dump_path(task, format, fmt::format("{}-{}", any_date, any_time));
        for (const fs::path& part : all.lexically_normal().lexically_relative(base)) shapes_.push_back(part.string());
        look_in(base, shapes_);
    }
    const std::vector<fs::path>& found() const { return found_; }

private:
    void look_in(const fs::path& folder, std::span<const std::string> shapes) {
        std::error_code failure;
        fs::directory_iterator entry(folder, failure);
        for (; !failure && entry != fs::directory_iterator(); entry.increment(failure)) {
            if (!is_like(entry->path().filename().string(), shapes.front())) continue;
            const fs::file_type type = entry->symlink_status(failure).type();
            if (shapes.size() > 1 && type == fs::file_type::directory)
                look_in(entry->path(), shapes.subspan(1));
            else if (shapes.size() == 1 && type == (is_folder_ ? fs::file_type::directory : fs::file_type::regular) &&
                     is_old(entry->path()))
                found_.push_back(entry->path());
            failure.clear();
        }
        if (failure && failure != std::errc::no_such_file_or_directory)
            log_.warning(fmt::format("old dumps cannot be looked for in {}: {}", folder.string(), failure.message()));
    }

    bool is_old(const fs::path& path) const {
        const std::string stamp =
            path.filename().string().substr(task_.source.size() + 1, any_date.size() + 1 + any_time.size());
        const auto time = time_of(stamp);
        return time && now_ - *time > *task_.keep &&
               path == fs::path(dump_path(task_, format_, stamp)).lexically_normal();
    }

    const policy::ExportTask& task_;
    const std::string& format_;
    const bool is_folder_;
    const Nanoseconds now_;
    Log& log_;
    std::vector<std::string> shapes_;  // of the names from the folder of all dates down to a dump's
    std::vector<fs::path> found_;
};

}  // namespace

std::string dump_name(const std::string& source, Nanoseconds time) {
    const std::string text = rfc3339_seconds(time);  // 2026-03-01T02:00:00Z
    return fmt::format("{}-{}-{}{}{}", source, text.substr(0, 10), text.substr(11, 2), text.substr(14, 2),
                       text.substr(17, 2));
}

std::string dump_path(const policy::ExportTask& task, const std::string& format, Nanoseconds time) {
    return dump_path(task, format, std::string_view(dump_name("", time)).substr(1));
}

std::string folder_of_all_dates(const std::string& to) {
    const std::size_t date = to.find('{');
    const std::size_t end = date == std::string::npos ? to.size() : to.rfind('/', date);
    std::string out = end == std::string::npos ? "." : to.substr(0, end);
    while (out.ends_with('/')) out.pop_back();
    return out.empty() ? "/" : out;
}

std::vector<std::string> remove_old_dumps(const policy::ExportTask& task, Nanoseconds now, Log& log) {
    const fs::path base = fs::path(folder_of_all_dates(task.to)).lexically_normal();
    std::vector<std::string> out;
    for (const std::string& format : task.as) {
        const OldDumps old(task, format, now, log);
        for (const fs::path& path : old.found()) {
            std::error_code failure;
            fs::remove_all(path, failure);
            if (failure) {
                log.warning(fmt::format("the old dump {} cannot be removed: {}", path.string(), failure.message()));
                continue;
            }
            out.push_back(path);
            for (fs::path folder = path.parent_path(); folder != base && fs::remove(folder, failure);)  // when empty
                folder = folder.parent_path();
        }
    }
    return out;
}

}  // namespace holdfast::app
