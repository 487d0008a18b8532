#include "sources/files/excludes.h"

#include <algorithm>

#include "base/item.h"
#include "base/text.h"

namespace holdfast::files {

bool ExcludeRule::matches(std::string_view text) const {
    switch (form) {
        case Form::literal:
            return text == pattern;
        case Form::prefix:
            return text.starts_with(pattern);
        case Form::suffix:
            return text.ends_with(pattern);
        case Form::glob:
            return glob_match(pattern, text);
    }
    return false;
}

namespace {

bool is_plain(std::string_view text) { return text.find_first_of("*?[\\") == std::string_view::npos; }

void compile_name(ExcludeRule& rule, std::string_view name) {
    rule.pattern = name;
    if (is_plain(name)) {
        rule.form = ExcludeRule::Form::literal;
    } else if (name.front() == '*' && is_plain(name.substr(1))) {
        rule.form = ExcludeRule::Form::suffix;
        rule.pattern.erase(0, 1);
    } else if (name.back() == '*' && is_plain(name.substr(0, name.size() - 1))) {
        rule.form = ExcludeRule::Form::prefix;
        rule.pattern.pop_back();
    }
}

// "//" and "/./" are '/', a leading "./" is nothing.
std::string tidy(std::string_view pattern) {
    std::string out;
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        const bool begins_name = out.empty() || out.back() == '/';
        if (pattern[at] == '/' && !out.empty() && begins_name) continue;
        if (begins_name && pattern.substr(at).starts_with("./")) {
            ++at;
            continue;
        }
        out += pattern[at];
    }
    return out;
}

ExcludeRule compile(std::string_view text) {
    ExcludeRule rule;
    if (text.front() == '!') {
        rule.takes_back = true;
        text.remove_prefix(1);
    }
    std::string pattern = tidy(text);
    if (pattern.size() > 1 && pattern.back() == '/') {
        rule.folders_only = true;
        pattern.pop_back();
    }
    while (pattern.starts_with("**/") && pattern.find('/', 3) == std::string::npos && pattern.size() > 3)
        pattern.erase(0, 3);
    if (pattern.find('/') == std::string::npos) {
        if (!pattern.empty()) compile_name(rule, pattern);
        return rule;
    }
    const auto [folder, name] = split_path(pattern);
    if (pattern.front() == '/' && is_plain(folder)) {
        // The usual case, "/srv/cache" or "/srv/*.tmp": only in one folder is there anything to compare.
        rule.one_folder = name.find("**") == std::string_view::npos;
        if (rule.one_folder) {
            rule.folder = folder;
            compile_name(rule, name);
            return rule;
        }
    }
    rule.whole_path = true;
    rule.pattern = pattern.front() == '/' || pattern.starts_with("**") ? pattern : "**/" + pattern;
    return rule;
}

// Whether a path in `folder` can match at all, by what comes before the pattern's first special character.
bool may_match_below(const std::string& pattern, std::string_view folder) {
    const std::string_view fixed = std::string_view(pattern).substr(0, pattern.find_first_of("*?[\\"));
    const std::size_t common = std::min(fixed.size(), folder.size());
    return fixed.substr(0, common) == folder.substr(0, common);
}

}  // namespace

Excludes::Excludes(std::span<const std::string> patterns) {
    for (const std::string& pattern : patterns) {
        if (pattern.empty() || pattern == "!") continue;
        rules_.push_back(compile(pattern));
        for (const char c : pattern + "\n") hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 16777619U + 1;
    }
}

Excludes::InFolder::InFolder(const Excludes& excludes, std::string_view folder) {
    for (auto rule = excludes.rules_.rbegin(); rule != excludes.rules_.rend(); ++rule) {
        const bool holds =
            rule->one_folder ? rule->folder == folder : !rule->whole_path || may_match_below(rule->pattern, folder);
        if (holds) rules_.push_back(&*rule);
    }
    // When the last word on every name is "back in", nothing is left out.
    while (!rules_.empty() && rules_.back()->takes_back) rules_.pop_back();
    if (rules_.empty()) return;
    path_ = folder;
    if (path_.empty() || path_.back() != '/') path_ += '/';
    folder_bytes_ = path_.size();
}

bool Excludes::InFolder::leaves_out(std::string_view name, bool is_folder) {
    for (const ExcludeRule* rule : rules_) {
        if (rule->folders_only && !is_folder) continue;
        if (rule->whole_path) {
            path_.resize(folder_bytes_);
            path_ += name;
        }
        if (rule->matches(rule->whole_path ? std::string_view(path_) : name)) return !rule->takes_back;
    }
    return false;
}

std::vector<std::string> patterns_of_lines(std::string_view text) {
    std::vector<std::string> out;
    for (std::string& line : split(text, '\n')) {
        while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.pop_back();
        if (line.empty() || line.front() == '#') continue;
        out.push_back(std::move(line));
    }
    return out;
}

}  // namespace holdfast::files
