// engine/live.h: what differs between a snapshot and what is live now.
//
// Shape    servers: facts of the capture against facts of the server; folders: items against the file system
// Errors   target_failed when what is live cannot be read; corrupt, unreachable
// Limits   of one item all that differs is one line
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/look.h"
#include "engine/progress.h"
#include "source/facts.h"
#include "source/source.h"

namespace holdfast::engine {

struct LiveDifference {
    std::string path;
    Change change;
    std::string text;  // "rows 10, now 9"
};

// By item; counts and checksums are content, all else metadata. Items that one side does not have are added or removed.
std::vector<LiveDifference> compare_live(const Facts& captured, const Facts& live);

// Items of the snapshot below `below` (empty: all) against the files at their paths; `source` says what is new there.
void diff_live_files(repo::Repository& repository, const repo::Snapshot& snapshot, Source& source,
                     const std::string& below, Progress& progress,
                     const std::function<void(const LiveDifference&)>& each);

}  // namespace holdfast::engine
