// repo/index_merge.h: many small fragments of the index become one, so that opening loads few.
//
// Errors   unreachable, fenced
// Threads  one thread
// Limits   28 bytes for each merged record are resident, merged_records_max of them
// Source   doc/format/index.md section 5
#pragma once

#include <set>

#include "repo/index.h"
#include "repo/repository.h"

namespace holdfast::repo {

bool needs_merging(const Repository& repository);

// Only of what a full holder wrote or a reader attested: the merged one is believed by all.
// Publishes, in a session of its own, one fragment that has the records of many, less those in packs that are `gone` for
// ever, and says which ones it stands for: none when none are small enough.
std::set<FragmentId> merge_fragments(Repository& repository, const std::set<PackId>& gone);

}  // namespace holdfast::repo
