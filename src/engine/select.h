// engine/select.h: which items of a snapshot a person means.
#pragma once

#include <string>
#include <vector>

#include "base/item.h"

namespace holdfast::engine {

// Paths and globs; a folder stands for all that is in it.
class Selection {
public:
    Selection(std::vector<std::string> include, std::vector<std::string> exclude);
    bool wants(const std::string& path) const;
    bool all() const { return include_.empty() && exclude_.empty(); }

private:
    static bool matches(const std::vector<std::string>& patterns, const std::string& path);
    std::vector<std::string> include_;
    std::vector<std::string> exclude_;
};

}  // namespace holdfast::engine
