// sources/mongodb/follower.h: tails the oplog, with proof that nothing is missing and nothing was taken back.
//
// Shape    every piece is entries of the oplog as they are; the first entry that the server gives must be the last one that
//          is known, by its time stamp, term and bytes. Entries that most of the set has, so that no election takes them back
// Errors   source_failed where there is no oplog
// Threads  one owner
// Source   design reference databases.md 4e; doc/format/mongodb.md, "Journal"
#pragma once

#include <memory>

#include "source/source.h"
#include "sources/mongodb/options.h"

namespace holdfast::mongodb {

std::unique_ptr<Follower> follow(const CaptureOptions& options, const FollowRequest& request);

}  // namespace holdfast::mongodb
