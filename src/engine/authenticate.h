// engine/authenticate.h: reads and authenticates every byte that a part of a snapshot needs, and keeps none.
//
// Errors   corrupt when the tree itself cannot be read; unreachable
#pragma once

#include "engine/progress.h"
#include "engine/restore.h"

namespace holdfast::engine {

struct Authenticated {
    std::uint64_t pieces = 0;  // of chunks
    std::uint64_t bytes = 0;   // of the items
    std::vector<Finding> damaged;
};
Authenticated authenticate(repo::Repository& repository, const RestorePlan& plan, Progress& progress);

}  // namespace holdfast::engine
