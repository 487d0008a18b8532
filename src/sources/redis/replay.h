// sources/redis/replay.h: a journal on its way back: onto the end of a data folder, or looked through.
//
// Errors   target_failed; corrupt when something is missing between the base and the journal, or within it
// Threads  one
// I1  what is applied ends between commands, and never within a transaction
#pragma once

#include <functional>
#include <memory>

#include "source/source.h"

namespace holdfast::redis {

// `write` gets what an append-only file holds.
std::unique_ptr<Replay> replay_into_file(const ReplayRequest& request, std::function<void(ByteView)> write);
// FLUSHALL and FLUSHDB, and keys that were deleted in numbers.
std::unique_ptr<Replay> history(const HistoryRequest& request);

}  // namespace holdfast::redis
