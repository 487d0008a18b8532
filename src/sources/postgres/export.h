// sources/postgres/export.h: one captured database as a file or folder that psql or pg_restore reads.
//
// Shape    "sql": plain statements; "custom": an archive of pg_dump -Fc; "directory": a folder of pg_dump -Fd
// Errors   usage when the items are not those of one database; corrupt; failed
// Threads  one
// Limits   the archive without its tables' rows lies in a private temporary folder meanwhile
#pragma once

#include <array>

#include "source/source.h"

namespace holdfast::postgres {

constexpr std::array<std::string_view, 3> export_formats{"sql", "custom", "directory"};
constexpr std::array<std::string_view, 1> export_folder_formats{"directory"};
std::unique_ptr<Export> export_as(const ExportRequest& request);

}  // namespace holdfast::postgres
