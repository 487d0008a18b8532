// sources/mongodb/export.h: captured databases as files that mongorestore reads.
//
// Shape    "archive": for mongorestore --archive; "directory": for mongorestore FOLDER, packed for its --gzip; "tar": that
//          folder as a tar. With an oplog in the snapshot all carry it, for --oplogReplay; users and roles are those of `admin`
// Errors   failed, corrupt
// Threads  one
// Limits   the metadata of all collections in memory; "tar" keeps a collection in a temporary file while its size is not known
#pragma once

#include <array>

#include "source/source.h"

namespace holdfast::mongodb {

constexpr std::array<std::string_view, 3> export_formats{"archive", "directory", "tar"};
constexpr std::array<std::string_view, 1> export_folder_formats{"directory"};
std::unique_ptr<Export> export_as(const ExportRequest& request);

}  // namespace holdfast::mongodb
