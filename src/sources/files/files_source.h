// sources/files/files_source.h: files and folders of this machine, with all that the kernel knows of them.
//
// Shape    items are absolute paths in tree order; the folders that lead to the source's paths are items as
//          well
// Errors   config for options that make no sense; source_failed when no path exists
#pragma once

#include "source/source.h"

namespace holdfast {

extern const SourceType files_source_type;

}  // namespace holdfast
