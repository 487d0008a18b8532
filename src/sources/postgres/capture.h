// sources/postgres/capture.h: databases as items: globals, an archive of each database's schema, each table's rows.
//
// Shape    each database is seen through one exported snapshot, held with locks on all of its tables by a coordinating
//          session; rows are read by COPY over further sessions of the same snapshot
// Errors   source_failed
// Threads  as Capture says
// Limits   one session for each database and one for each reading worker; archives' tables of contents stay in memory
#pragma once

#include <memory>

#include "source/source.h"
#include "sources/postgres/options.h"

namespace holdfast::postgres {

std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options);

}  // namespace holdfast::postgres
