// sources/redis/dump_file.h: files that a server wrote, as a source: `holdfast import dump.rdb`, or a folder of append-only
// files.
//
// Errors   source_failed when it cannot be read; corrupt, newer_format
#pragma once

#include "source/source.h"

namespace holdfast::redis {

std::string dump_format(const std::string& path);  // "rdb", "aof", or empty
std::unique_ptr<Source> load_dump(const ImportRequest& request);

}  // namespace holdfast::redis
