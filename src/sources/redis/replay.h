// sources/redis/replay.h: a journal on its way back: onto the end of a data folder, or looked through.
//
// Errors   target_failed; corrupt when something is missing between the base and the journal, or within it
// Threads  one
// I1  what is applied ends between commands, and never within a transaction
#pragma once

#include <functional>
#include <memory>

#include "source/source.h"
#include "sources/redis/commands.h"

namespace holdfast::redis {

// The database that was selected in the stream where the base of these facts ends.
std::uint32_t selected_in(const std::optional<Facts>& facts);
// The instant lies in a time of which nobody knows when its changes were made: what is restored is of its begin.
using Undated = std::function<void(Nanoseconds from, Nanoseconds to)>;
// `write` gets what an append-only file holds; `database` is selected at `request.from`.
std::unique_ptr<Replay> replay_into_file(const ReplayRequest& request, std::uint32_t database,
                                         std::function<void(ByteView)> write, Undated on_undated = {});
// FLUSHALL and FLUSHDB, and keys that were deleted in numbers.
std::unique_ptr<Replay> history(const HistoryRequest& request);

}  // namespace holdfast::redis
