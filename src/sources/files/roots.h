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
    bool whole =
        false;  // it is captured with all that it holds, or lies in one that is; else only the children named here
    bool given = false;  // it is a path of the source: captured also where what is above it ends at another file system
    std::map<std::string, std::unique_ptr<Root>, std::less<>> children;
};

// Absolute, by the current folder, without ".", ".." and double '/'; symlinks are not resolved.
std::string absolute_path(std::string_view path);

// Adds an absolute path, after those above it. False when it lies below one that is whole.
bool add_root(Root& top, std::string_view path);

}  // namespace holdfast::files
