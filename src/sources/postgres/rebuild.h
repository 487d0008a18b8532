// sources/postgres/rebuild.h: restores databases into a server.
//
// Errors   as sources/postgres/database_rebuild.h
// Threads  as Rebuild says, sequential
#pragma once

#include <memory>

#include "source/source.h"

namespace holdfast::postgres {

// A target that is no URL of a server becomes a folder of files.
std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request);

}  // namespace holdfast::postgres
