// engine/left_out.h: where a snapshot lacks what was there when it was made, so that a restore does not take it for deleted.
//
// Shape    paths, each for itself and all below it; findings and what the source left out on purpose, shortened to the
//          folders that hold them when they are many
// Limits   left_out_bytes_max in a snapshot's record
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "repo/snapshot.h"
#include "source/source.h"

namespace holdfast::engine {

constexpr std::size_t left_out_bytes_max = 4096;

std::vector<std::string> places_left_out(const std::vector<Finding>& findings,
                                         const std::vector<std::string>& on_purpose);
bool is_left_out(const repo::Snapshot& snapshot, std::string_view path);

}  // namespace holdfast::engine
