// sources/mongodb/export.h: captured databases as files that mongorestore reads.
//
// Shape    "archive": for mongorestore --archive; "tar": the folder of mongodump as a tar, for mongorestore FOLDER once it is
//          unpacked. With an oplog in the snapshot both carry it, for --oplogReplay
// Errors   failed, corrupt
// Threads  one
// Limits   the metadata of all collections in memory; "tar" keeps a collection in a temporary file while its size is not known
#pragma once

#include <array>

#include "source/source.h"

namespace holdfast::mongodb {

constexpr std::array<std::string_view, 2> export_formats{"archive", "tar"};
std::unique_ptr<Export> export_as(const ExportRequest& request);

}  // namespace holdfast::mongodb
