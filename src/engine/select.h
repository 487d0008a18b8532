// engine/select.h: which items of a snapshot a person means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/item.h"

namespace holdfast::engine {

// Paths and globs; a folder stands for all that is in it. Of items with absolute paths, one that does not begin with '/' is
// meant at any depth, as in excludes of a backup.
class Selection {
public:
    Selection(const std::vector<std::string>& include, const std::vector<std::string>& exclude);
    bool wants(const std::string& path) const;
    bool all() const { return include_.empty() && exclude_.empty(); }

private:
    struct Pattern {
        std::string text;
        bool is_glob = false;
        bool is_name = false;      // without '/'
        std::string at_any_depth;  // of a glob
        bool matches(std::string_view path) const;
    };
    static std::vector<Pattern> compile(const std::vector<std::string>& patterns);
    static bool matches(const std::vector<Pattern>& patterns, const std::string& path);
    std::vector<Pattern> include_;
    std::vector<Pattern> exclude_;
};

}  // namespace holdfast::engine
