// sources/postgres/restore_options.h: how a database comes back.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "source/option_values.h"

namespace holdfast::postgres {

using Renames = std::vector<std::pair<std::string, std::string>>;

struct RestoreOptions {
    Present present = Present::fail;
    std::string beside;  // the name that the target has, of what takes the place of another in a swap
    bool no_owner = false;
    bool end_sessions = false;  // of databases that are renamed
    bool into_source = false;   // the server that it was captured from is a target, too
    Renames schemas;
    Renames owners;
    std::string bin_dir;
};
RestoreOptions restore_options(const SourceOptions& options);  // throws usage

}  // namespace holdfast::postgres
