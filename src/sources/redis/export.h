// sources/redis/export.h: a captured server as one RDB file.
//
// Errors   usage, corrupt, failed
// Threads  one
// Limits   items must come in tree order
#pragma once

#include <array>

#include "source/source.h"

namespace holdfast::redis {

constexpr std::array<std::string_view, 1> export_formats{"rdb"};
std::unique_ptr<Export> export_as(const ExportRequest& request);

}  // namespace holdfast::redis
