// sources/mongodb/server.h: a throwaway MongoDB server in a sandbox, for proofs.
//
// Shape    mongod, or the program of the option server_program, which takes mongod's --dbpath, --port, --bind_ip and
//          --unixSocketPrefix; reached by its private socket. own_checks() is `validate` on every collection
// Errors   source_failed with the package to install when there is none; failed with what it said when it does not start
// Source   design section 6; review.md D1
#pragma once

#include <memory>

#include "source/source.h"

namespace holdfast::mongodb {

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request);

}  // namespace holdfast::mongodb
