// engine/verify.h: reads back what a restore wrote and compares it with the snapshot, item by item.
//
// Shape    content is compared by the ids of whole chunks, recomputed from the target, and byte by byte where an item
//          has only a part of a chunk; so nothing needs to be remembered from the restore
// Errors   target_failed when the target cannot be read; corrupt when the tree cannot
// Limits   held_bytes_max of small files and a few pieces of large ones are held
#pragma once

#include <string>
#include <vector>

#include "engine/progress.h"
#include "engine/restore.h"
#include "source/facts.h"

namespace holdfast::engine {

struct VerifyTarget {
    std::string folder;
    std::string strip;              // as the RebuildRequest had it
    std::vector<Finding> findings;  // what the restore itself said that it could not do: not tested, no failure
    std::vector<Finding> damaged;   // items that it could not have
};

struct Verification {
    double seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;        // compared
    std::vector<CheckLine> checks;  // a line for presence, content and metadata each, then one for each difference
    std::uint64_t unlisted = 0;     // differences beyond the first differences_max
    static constexpr std::size_t differences_max = 100;
};

// The worst of them: fail before not_tested before pass; nothing tested is not tested.
CheckLine::Result result_of(const std::vector<CheckLine>& checks);

Verification verify(repo::Repository& repository, const RestorePlan& plan, const VerifyTarget& target,
                    Progress& progress);

}  // namespace holdfast::engine
