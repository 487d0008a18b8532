// sources/redis/server.h: a throwaway redis-server in a sandbox, started on the folder that a restore made.
//
// Shape    target() is that folder first; own_checks() looks at it, starts the server on it, and then target() is its URL
// Errors   source_failed without a server that is new enough
// Source   design section 6
#pragma once

#include "source/source.h"

namespace holdfast::redis {

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request);

}  // namespace holdfast::redis
