// app/dated_dumps.h: plain dumps with dated names, as an export job writes them, and their own retention.
//
// Units    nanoseconds
// Errors   what cannot be looked at or removed is a warning, never an error: the dump of today is there
// I1  what goes is where the job itself would have put it at the time in its name, in one of the job's formats: dumps of
//     other jobs, whatever folder they share, are none of its business
#pragma once

#include <string>
#include <vector>

#include "base/world.h"
#include "policy/job.h"

namespace holdfast::app {

// "orders-db-2026-03-01-020000"
std::string dump_name(const std::string& source, Nanoseconds time);

// "/dumps/2026-03-01/orders-db-2026-03-01-020000.sql.gz" of "/dumps/{date}" and "sql.gz"
std::string dump_path(const policy::ExportTask& task, const std::string& format, Nanoseconds time);

// Where dumps of every date lie: "/dumps" of "/dumps/{date}" and of "/dumps/shop-{date}/{time}".
std::string folder_of_all_dates(const std::string& to);

// Removes the task's dumps that are older than its `keep` by their names, and dated folders that this leaves empty; what
// has another name stays. Those that were removed.
std::vector<std::string> remove_old_dumps(const policy::ExportTask& task, Nanoseconds now, Log& log);

}  // namespace holdfast::app
