// sources/redis/scratch.h: some keys of an instant, or keys that go among others: base and journal are loaded by a throwaway
// server, and what was asked for is taken from there, so that every change has the effect that it had.
//
// Shape    a KeyTarget like others: takes all keys and the journal, gives on what is chosen in finish()
// Errors   source_failed without a redis-server here; of the throwaway server; of the target
// Threads  one at a time
#pragma once

#include <memory>

#include "sources/redis/key_choice.h"
#include "sources/redis/key_target.h"

namespace holdfast::redis {

std::unique_ptr<KeyTarget> by_way_of_scratch(const RebuildRequest& request, std::unique_ptr<KeyTarget> target,
                                             KeyChoice choice);

}  // namespace holdfast::redis
