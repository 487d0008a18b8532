// sources/postgres/toc_owners.h: gives an archive's objects and grants to other roles.
//
// Shape    names in the table of contents are replaced; the data behind it stays as it is
// Limits   owners, grants, default privileges and policies; what functions' bodies name stays
#pragma once

#include "sources/postgres/restore_options.h"
#include "sources/postgres/toc.h"

namespace holdfast::postgres {

// The new bytes of the table of contents, for `head`, which `toc` was read from.
Bytes with_owners(ByteView head, const Toc& toc, const Renames& owners);

}  // namespace holdfast::postgres
