// sources/mongodb/mongodb_source.h: MongoDB databases, captured as raw BSON at one instant, and the oplog.
//
// Shape    `mongodb://user@host:port/db`, without a database all of them; items are named in sources/mongodb/names.h
// Errors   config for options that make no sense, source_failed, target_failed
// Source   doc/format/mongodb.md, doc/guide/mongodb.md
#pragma once

#include "source/served.h"
#include "source/source.h"

namespace holdfast {

extern const SourceType mongodb_source_type;

namespace mongodb {
// Of the server that these options name, references resolved; admin, config and local left out.
std::vector<ServedDatabase> served_databases(World& world, const SourceOptions& options);
}  // namespace mongodb

}  // namespace holdfast
