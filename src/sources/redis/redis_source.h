// sources/redis/redis_source.h: a Redis server, captured as a replica sees it.
//
// Shape    `redis://user@host:port`, with a database only that one; items are named in sources/redis/names.h
// Errors   config for options that make no sense, source_failed, target_failed
// Source   doc/format/redis.md, doc/guide/redis.md
#pragma once

#include "source/source.h"

namespace holdfast {

extern const SourceType redis_source_type;

}  // namespace holdfast
