#include "engine/select.h"

#include "base/text.h"

namespace holdfast::engine {

namespace {

// "/a/b/" and "/a/b" mean the same folder.
std::vector<std::string> tidy(std::vector<std::string> patterns) {
    for (std::string& pattern : patterns)
        while (pattern.size() > 1 && pattern.back() == '/') pattern.pop_back();
    return patterns;
}

}  // namespace

Selection::Selection(std::vector<std::string> include, std::vector<std::string> exclude)
    : include_(tidy(std::move(include))), exclude_(tidy(std::move(exclude))) {}

bool Selection::matches(const std::vector<std::string>& patterns, const std::string& path) {
    for (const std::string& pattern : patterns) {
        if (is_within(path, pattern)) return true;
        if (!has_glob(pattern)) continue;
        // A folder that matches brings what is below it: each ancestor is asked, too.
        std::string_view at = path;
        while (!at.empty() && at != "/") {
            const auto [folder, name] = split_path(at);
            if (glob_match(pattern, pattern.find('/') == std::string::npos ? name : at)) return true;
            at = folder;
        }
    }
    return false;
}

bool Selection::wants(const std::string& path) const {
    return (include_.empty() || matches(include_, path)) && !matches(exclude_, path);
}

}  // namespace holdfast::engine
