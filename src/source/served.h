// source/served.h: the databases of a server that a source stands before.
#pragma once

#include <span>
#include <string>

namespace holdfast {

// Is it among these names and globs?
bool is_among(std::span<const std::string> patterns, const std::string& name);

struct ServedDatabase {
    std::string server;  // equal for sources of one server
    std::string name;
    bool is_answered_for = false;  // captured, or excluded by name
};

}  // namespace holdfast
