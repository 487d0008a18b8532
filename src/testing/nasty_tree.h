// testing/nasty_tree.h: a folder with everything that a backup of files must bring back, and what differs
// between two.
//
// Shape    as root with owners, devices, capabilities and trusted attributes; as another user with what that
//          may make
// Errors   failed when the machine cannot make a part of it: nothing is left out in silence
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/remove.h"

namespace holdfast {

struct NastyTreeOptions {
    std::size_t many_files = 5000;  // in one folder: more than one batch of a capture
    std::size_t large_bytes = 3'000'000;
    bool long_paths = true;  // beyond PATH_MAX, which rsync cannot follow
};
void make_nasty_tree(const std::string& folder, const NastyTreeOptions& options = {});

// A line for each difference: kinds, names, owners, modes, times, contents, holes, links, attributes,
// devices. Read by code that shares nothing with what captures and restores.
std::vector<std::string> differences(const std::string& expected, const std::string& found);

// The one more folder below, "<name>/<name>/…", is so deep that its path is longer than PATH_MAX.
void make_deep_folders(const std::string& folder, const std::string& name, std::size_t depth);

// HOLDFAST_SCALE, 1 when it is not set: how much longer the loops of tests shall be.
std::size_t test_scale();

void write_text(const std::string& path, std::string_view text);
// Sets the time of the last change, symlinks themselves included.
void set_time(const std::string& path, std::int64_t seconds, std::int64_t nanoseconds);

}  // namespace holdfast
