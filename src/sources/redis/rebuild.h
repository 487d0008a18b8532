// sources/redis/rebuild.h: brings keys back: into a folder that redis-server starts on, or into a running server.
//
// Errors   as sources/redis/key_target.h; corrupt
// Threads  as Rebuild says, sequential
#pragma once

#include <memory>

#include "source/source.h"

namespace holdfast::redis {

std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request);

}  // namespace holdfast::redis
