#include "sources/files/files_source.h"

#include <array>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "source/folder_rebuild.h"
#include "sources/files/capture.h"

namespace holdfast::files {

namespace {

constexpr std::array options_table{
    SourceOption{"paths", SourceOption::Type::list, "files and folders to capture"},
    SourceOption{"exclude", SourceOption::Type::list,
                 "leave out what matches, as in .gitignore: '*.tmp', '/srv/cache', 'a/**/b', '!keep'"},
    SourceOption{"exclude_from", SourceOption::Type::list, "files with such patterns, one a line"},
    SourceOption{"exclude_caches", SourceOption::Type::flag, "leave out what lies in folders marked by a CACHEDIR.TAG"},
    SourceOption{"exclude_if_present", SourceOption::Type::list,
                 "leave out what lies in folders that hold a file of this name"},
    SourceOption{"exclude_larger", SourceOption::Type::size, "leave out files larger than this"},
    SourceOption{"one_file_system", SourceOption::Type::flag,
                 "other file systems mounted below are empty folders, unless they are paths of the source"},
};

struct Settings {
    std::vector<std::string> paths;
    std::vector<std::string> exclude;
    std::vector<std::string> exclude_from;
    WalkOptions walk;
};

const std::vector<std::string>& values_of(const SourceOptions& options, std::string_view name) {
    static const std::vector<std::string> none;
    const auto found = options.find(name);
    return found == options.end() ? none : found->second;
}

bool flag_of(const SourceOptions& options, std::string_view name) {
    const auto& values = values_of(options, name);
    return !values.empty() && values.front() == "true";
}

class FilesSource final : public Source {
public:
    FilesSource(std::string name, Settings settings) : name_(std::move(name)), settings_(std::move(settings)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "files"; }
    std::vector<std::string> describe() const override { return settings_.paths; }

    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        WalkOptions walk = settings_.walk;
        walk.threads = core_count();
        walk.excludes = Excludes(patterns());
        return std::make_unique<FilesCapture>(request.world, name_, settings_.paths, std::move(walk));
    }

private:
    // Files of patterns are read at each capture: they change, and may lie on another machine than the
    // configuration.
    std::vector<std::string> patterns() const {
        std::vector<std::string> out = settings_.exclude;
        for (const std::string& path : settings_.exclude_from) {
            const auto bytes = read_file_if_present(path);
            if (!bytes) {
                throw Error{Code::config, "source {}: the file of patterns {} does not exist", name_, path}.hint(
                    "Correct exclude_from, or make the file.");
            }
            for (std::string& pattern : patterns_of_lines(as_text(*bytes))) out.push_back(std::move(pattern));
        }
        return out;
    }

    const std::string name_;
    const Settings settings_;
};

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    Settings settings;
    for (const std::string_view from : {"argument", "paths"}) {
        for (const std::string& path : values_of(options, from)) {
            if (path.find('\0') != std::string::npos || path.empty())
                throw Error{Code::config, "source {} has an empty path", name}.hint(
                    "Name the file or folder to back up.");
            settings.paths.push_back(absolute_path(path));
        }
    }
    if (settings.paths.empty()) {
        throw Error{Code::config, "source {} has no paths", name}.hint(
            "Name what to back up: `paths: [/srv/uploads]` in the configuration, or `files:/srv/uploads`.");
    }
    settings.exclude = values_of(options, "exclude");
    settings.exclude_from = values_of(options, "exclude_from");
    settings.walk.exclude_caches = flag_of(options, "exclude_caches");
    settings.walk.one_file_system = flag_of(options, "one_file_system");
    settings.walk.exclude_if_present = values_of(options, "exclude_if_present");
    for (const std::string& tag : settings.walk.exclude_if_present) {
        if (tag.empty() || tag.find('/') != std::string::npos)
            throw Error{Code::config, "source {}: exclude_if_present is a name, not a path: {}", name, printable(tag)};
    }
    if (const auto& larger = values_of(options, "exclude_larger"); !larger.empty()) {
        settings.walk.exclude_larger = parse_size(larger.front());
        if (!settings.walk.exclude_larger) {
            throw Error{Code::config, "source {}: exclude_larger is no size: {}", name, printable(larger.front())}.hint(
                "Write a number with a unit, such as 500M or 2G.");
        }
    }
    return std::make_unique<FilesSource>(name, std::move(settings));
}

std::string is_own_place(const OwnPlaceRequest& request) {
    const std::string target = absolute_path(request.target);
    for (const std::string& path : request.described)
        if (target == "/" || is_within(target, path)) return target + " is where " + path + " is, or in it";
    return "";
}

}  // namespace
}  // namespace holdfast::files

namespace holdfast {

const SourceType files_source_type{
    .kind = "files",
    .scheme = "files",
    .help = "files and folders of this machine, with owners, ACLs, attributes, links, holes and devices",
    .options = files::options_table,
    .make = files::make,
    .rebuild = rebuild_into_folder,
    .is_own_place = files::is_own_place,
};

}  // namespace holdfast
