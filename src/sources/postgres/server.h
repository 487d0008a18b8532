// sources/postgres/server.h: a throwaway PostgreSQL server in a sandbox, for proofs.
//
// Shape    initdb of the captured major version, a private socket, settings of ours and no others; own_checks() is
//          pg_amcheck on every database, or a whole pg_dump where amcheck is not installed
// Errors   source_failed with the package to install when there is no server of the major version; failed with what
//          it said when it does not start
// Source   design section 6; review.md D1
#pragma once

#include <memory>

#include "source/source.h"

namespace holdfast::postgres {

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request);

}  // namespace holdfast::postgres
