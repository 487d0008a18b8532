// sources/files/roots.h: the paths of a files source as a tree of names, with the folders that lead to them.
//
// Shape    "/srv/uploads", "/etc" -> "/" { "etc" whole, "srv" { "uploads" whole } }
// Threads  immutable after construction
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::files {

struct Root {
    bool whole = false;  // it is captured with all that it holds; else only the children named here
    std::map<std::string, std::unique_ptr<Root>, std::less<>> children;
};

// Absolute, by the current folder, without ".", ".." and double '/'; symlinks are not resolved.
std::string absolute_path(std::string_view path);

// Adds an absolute path. False when it lies below one that is there already and whole.
bool add_root(Root& top, std::string_view path);

}  // namespace holdfast::files
