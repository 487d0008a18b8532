// app/dated_dumps.h: plain dumps with dated names, as an export job writes them, and their own retention.
//
// Units    nanoseconds
// Errors   a file that cannot be removed is a warning, never an error: the dump of today is there
#pragma once

#include <string>
#include <vector>

#include "base/world.h"

namespace holdfast::app {

// "orders-db-2026-03-01-020000"
std::string dump_name(const std::string& source, Nanoseconds time);

// Where dumps of every date lie: "/dumps" of "/dumps/{date}" and of "/dumps/shop-{date}/{time}".
std::string folder_of_all_dates(const std::string& to);

// Removes the dumps of `source` below `folder` that are older than `keep` by their names, and dated folders that this
// leaves empty; what has another name stays. Those that were removed.
std::vector<std::string> remove_old_dumps(const std::string& folder, const std::string& source, Nanoseconds now,
                                          Nanoseconds keep, Log& log);

}  // namespace holdfast::app
