// source/remove_tree.h: removes something from an open folder, with all that is in it.
//
// Errors   what cannot be removed is a finding and stays; target_failed when nothing more can be written
// Threads  one at a time
// Limits   any depth, by a list of folders instead of recursion; symlinks are removed, never followed; other
//          file systems mounted inside stay
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "source/findings.h"
#include "source/folder.h"

namespace holdfast {

struct Removal {
    bool only_count = false;
    // Asked for all that is in a folder. What stays keeps the folders that lead to it; empty: nothing stays.
    std::function<bool(const Folder::Pointer& folder, const std::string& name)> may_go = {};
};

// How many entries were (or would be) removed.
std::uint64_t remove_tree(const Folder::Pointer& folder, const std::string& name, const Removal& removal,
                          Findings& findings);

}  // namespace holdfast
