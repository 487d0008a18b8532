// sources/redis/rdb_file.h: an RDB file that a server wrote, as a source: `holdfast import dump.rdb`.
//
// Errors   source_failed when it cannot be read; corrupt, newer_format
#pragma once

#include "source/source.h"

namespace holdfast::redis {

std::string dump_format(const std::string& path);  // "rdb", or empty
std::unique_ptr<Source> load_dump(const ImportRequest& request);

}  // namespace holdfast::redis
