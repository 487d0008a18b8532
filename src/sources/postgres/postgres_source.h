// sources/postgres/postgres_source.h: PostgreSQL databases, captured logically through one exported snapshot each.
//
// Shape    `postgres://user@host:port/db`, without a database all of them; items are named in sources/postgres/names.h
// Errors   config for options that make no sense, source_failed, target_failed
// Source   doc/format/postgres.md, doc/guide/postgres.md
#pragma once

#include "source/served.h"
#include "source/source.h"

namespace holdfast {

extern const SourceType postgres_source_type;

namespace postgres {
// Of the server that these options name, references resolved. The database `postgres` counts where it is captured only.
std::vector<ServedDatabase> served_databases(World& world, const SourceOptions& options);
}  // namespace postgres

}  // namespace holdfast
