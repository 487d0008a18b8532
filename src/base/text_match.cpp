// Shell patterns and names that are near each other: the part of base/text.h that compares texts.
#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast {

namespace {

// One character of the path against the class at the start of `pattern`, which begins with '['. Nothing when the
// class does not end: '[' then stands for itself.
struct ClassResult {
    bool matches;
    std::size_t length;  // of the class in the pattern
};

std::optional<ClassResult> match_class(std::string_view pattern, char32_t wanted) {
    std::size_t at = 1;
    bool negated = false;
    if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) {
        negated = true;
        ++at;
    }
    bool found = false;
    bool first = true;  // a ']' that comes first is a member
    const auto member = [&]() -> std::optional<char32_t> {
        if (at < pattern.size() && pattern[at] == '\\') ++at;
        if (at >= pattern.size()) return std::nullopt;
        const utf8::Character c = utf8::next(pattern, at);
        at += c.bytes;
        return c.code;
    };
    while (at < pattern.size() && (first || pattern[at] != ']')) {
        first = false;
        const auto low = member();
        if (!low) return std::nullopt;
        char32_t high = *low;
        if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
            ++at;
            const auto end = member();
            if (!end) return std::nullopt;
            high = *end;
        }
        found = found || (*low <= wanted && wanted <= high);
    }
    if (at >= pattern.size()) return std::nullopt;
    return ClassResult{found != negated && wanted != U'/', at + 1};
}

// Where to go on when a match fails: the pattern after a star, and how far the star has reached in the path.
struct Retry {
    std::size_t pattern = std::string_view::npos;
    std::size_t path = 0;
    bool whole_folders = false;  // of "**/": what follows begins at the start of a name
    bool active() const { return pattern != std::string_view::npos; }
};

class Matcher {
public:
    Matcher(std::string_view pattern, std::string_view path) : pattern_(pattern), path_(path) {}

    // Only the last '*' and the last '**' need to be tried again: whatever an earlier one could take instead, a
    // later one of the same kind can take as well. So the time is bounded by the product of the lengths.
    bool run() {
        while (true) {
            if (at_pattern_ == pattern_.size()) {
                if (at_path_ == path_.size()) return true;
            } else if (pattern_[at_pattern_] == '*') {
                begin_star();
                continue;
            } else if (step()) {
                continue;
            }
            if (!retry()) return false;
        }
    }

private:
    void begin_star() {
        if (pattern_.substr(at_pattern_).starts_with("**")) {
            const bool starts_name = at_pattern_ == 0 || pattern_[at_pattern_ - 1] == '/';
            at_pattern_ += 2;
            while (at_pattern_ < pattern_.size() && pattern_[at_pattern_] == '*') ++at_pattern_;
            const bool folders = starts_name && at_pattern_ < pattern_.size() && pattern_[at_pattern_] == '/';
            if (folders) ++at_pattern_;
            deep_ = {at_pattern_, at_path_, folders};
            flat_ = {};
        } else {
            ++at_pattern_;
            flat_ = {at_pattern_, at_path_, false};
        }
    }

    // One character of both.
    bool step() {
        if (at_path_ == path_.size()) return false;
        const utf8::Character here = utf8::next(path_, at_path_);
        std::size_t used = 1;
        if (pattern_[at_pattern_] == '?') {
            if (here.code == U'/') return false;
        } else if (const auto in_class = class_at(here.code)) {
            if (!in_class->matches) return false;
            used = in_class->length;
        } else {
            const std::size_t escape = pattern_[at_pattern_] == '\\' && at_pattern_ + 1 < pattern_.size() ? 1 : 0;
            const utf8::Character wanted = utf8::next(pattern_, at_pattern_ + escape);
            if (wanted.code != here.code) return false;
            used = escape + wanted.bytes;
        }
        at_pattern_ += used;
        at_path_ += here.bytes;
        return true;
    }

    std::optional<ClassResult> class_at(char32_t wanted) const {
        if (pattern_[at_pattern_] != '[') return std::nullopt;
        return match_class(pattern_.substr(at_pattern_), wanted);
    }

    bool retry() {
        if (flat_.active() && flat_.path < path_.size() && path_[flat_.path] != '/') {
            flat_.path += utf8::next(path_, flat_.path).bytes;
            at_pattern_ = flat_.pattern;
            at_path_ = flat_.path;
            return true;
        }
        if (!deep_.active() || deep_.path >= path_.size()) return false;
        if (deep_.whole_folders) {
            const std::size_t slash = path_.find('/', deep_.path);
            if (slash == std::string_view::npos) return false;
            deep_.path = slash + 1;
        } else {
            deep_.path += utf8::next(path_, deep_.path).bytes;
        }
        flat_ = {};
        at_pattern_ = deep_.pattern;
        at_path_ = deep_.path;
        return true;
    }

    std::string_view pattern_;
    std::string_view path_;
    std::size_t at_pattern_ = 0;
    std::size_t at_path_ = 0;
    Retry flat_;
    Retry deep_;
};

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c == '_' ? '-' : c; }

// Edits (insert, remove, replace, swap neighbours) that make one of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = folded(a[i - 1]) == folded(b[j - 1]);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view path) { return Matcher(pattern, path).run(); }

bool has_glob(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '*' || text[i] == '?' || text[i] == '[') {
            return true;
        }
    }
    return false;
}

std::optional<std::string> nearest(std::string_view text, std::span<const std::string> candidates) {
    constexpr std::size_t length_max = 64;  // longer texts are no slips of names
    if (text.empty() || text.size() > length_max) return std::nullopt;
    std::optional<std::string> best;
    std::size_t best_distance = 0;
    for (const std::string& candidate : candidates) {
        if (candidate.empty() || candidate.size() > length_max) continue;
        const bool is_start = text.size() >= 3 && candidate.starts_with(text);
        const std::size_t distance = is_start ? 1 : edit_distance(text, candidate);
        const std::size_t allowed = std::max<std::size_t>(1, std::max(text.size(), candidate.size()) / 3);
        if (distance > allowed || distance >= std::max(text.size(), candidate.size())) continue;
        if (!best || distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

}  // namespace holdfast
