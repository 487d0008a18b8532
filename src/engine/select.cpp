#include "engine/select.h"

#include "base/text.h"

namespace holdfast::engine {

Selection::Selection(const std::vector<std::string>& include, const std::vector<std::string>& exclude)
    : include_(compile(include)), exclude_(compile(exclude)) {}

std::vector<Selection::Pattern> Selection::compile(const std::vector<std::string>& patterns) {
    std::vector<Pattern> out;
    for (std::string text : patterns) {
        while (text.size() > 1 && text.back() == '/') text.pop_back();  // "/a/b/" and "/a/b" mean the same folder
        Pattern& pattern = out.emplace_back();
        pattern.is_glob = has_glob(text);
        pattern.is_name = text.find('/') == std::string::npos;
        pattern.at_any_depth = text.starts_with("**") ? text : "**/" + text;
        pattern.text = std::move(text);
    }
    return out;
}

// The very item, not what is in it.
bool Selection::Pattern::matches(std::string_view path) const {
    if (is_glob && is_name) return glob_match(text, split_path(path).second);
    const bool may_be_at_any_depth = path.starts_with('/') && !text.starts_with('/');
    if (is_glob) return glob_match(may_be_at_any_depth ? at_any_depth : text, path);
    return may_be_at_any_depth && path.ends_with(text) && path[path.size() - text.size() - 1] == '/';
}

bool Selection::matches(const std::vector<Pattern>& patterns, const std::string& path) {
    for (const Pattern& pattern : patterns) {
        if (is_within(path, pattern.text)) return true;
        // A folder that matches brings what is below it: each ancestor is asked, too.
        for (std::string_view at = path; !at.empty() && at != "/"; at = split_path(at).first)
            if (pattern.matches(at)) return true;
    }
    return false;
}

bool Selection::wants(const std::string& path) const {
    return (include_.empty() || matches(include_, path)) && !matches(exclude_, path);
}

}  // namespace holdfast::engine
