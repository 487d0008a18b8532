// sources/mongodb/rebuild.h: restores databases into a server.
//
// Errors   as sources/mongodb/target.h; corrupt
// Threads  as Rebuild says, sequential
#pragma once

#include <memory>

#include "source/source.h"

namespace holdfast::mongodb {

// A target that is no URL of a server becomes a folder of files.
std::unique_ptr<Rebuild> rebuild(const RebuildRequest& request);

}  // namespace holdfast::mongodb
