// sources/postgres/server.h: a throwaway PostgreSQL server in a sandbox, for proofs.
//
// Shape    initdb of the captured major version, a private socket, settings of ours and no others; own_checks() is
//          pg_amcheck on every database, or a whole pg_dump where amcheck is not installed
// Errors   source_failed with the package to install when there is no server of the major version; failed with what
//          it said when it does not start
// Source   design section 6; review.md D1
#pragma once

#include <memory>
#include <string>

#include "source/source.h"

namespace holdfast::postgres {

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request);

// The programs of one server.
struct ServerPrograms {
    std::string folder;
    int major = 0;
};
// `major`: 0: the newest. `or_newer`: what an older one dumped, a newer one loads.
enum class Fit : std::uint8_t { exact, or_newer };
ServerPrograms find_server(int major, const std::string& bin_dir, Fit fit);
std::unique_ptr<ThrowawayServer> start_server(Sandbox& sandbox, const ServerPrograms& programs,
                                              const std::string& superuser);

}  // namespace holdfast::postgres
