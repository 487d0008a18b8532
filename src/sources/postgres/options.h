// sources/postgres/options.h: what is to be captured, and how.
#pragma once

#include <string>
#include <vector>

#include "clients/postgres/endpoint.h"
#include "source/source.h"

namespace holdfast::postgres {

struct CaptureOptions {
    Endpoint endpoint;                   // its database is where lists are asked for
    std::vector<std::string> databases;  // names or globs; empty: all
    std::vector<std::string> exclude;    // item paths or globs: rows of these are left out, or whole databases
    std::string bin_dir;
    std::string lock_timeout = "30s";
};

}  // namespace holdfast::postgres
