// sources/mongodb/options.h: what is to be captured, and how.
#pragma once

#include <string>
#include <vector>

#include "clients/mongodb/endpoint.h"
#include "source/source.h"

namespace holdfast::mongodb {

// How one instant is had of collections that are read one after the other.
enum class Consistency : std::uint8_t {
    automatic,  // the first of these that the server gives; a snapshot only for what is read soon enough
    snapshot,   // reads at one cluster time
    oplog,      // reads of what most have, and the oplog from before the first to after the last, replayed by a restore
    none,       // each collection by itself
};

struct CaptureOptions {
    std::string source;  // its name
    Endpoint endpoint;
    std::vector<std::string> databases;    // names or globs; empty: all but admin, config and local
    std::vector<std::string> collections;  // DATABASE/COLLECTION, globs; empty: all
    std::vector<std::string> exclude;      // item paths or globs
    Consistency consistency = Consistency::automatic;
    std::uint64_t range_bytes = 16ULL * 1024 * 1024;  // large collections are read by ranges of so much
    Nanoseconds canary_every = 0;                     // 0: none is written
};

}  // namespace holdfast::mongodb
