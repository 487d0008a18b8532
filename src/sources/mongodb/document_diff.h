// sources/mongodb/document_diff.h: which documents of a collection differ from those that were captured, by _id.
//
// Errors   target_failed
// Threads  one call
#pragma once

#include "source/source.h"

namespace holdfast::mongodb {

RowDiff diff_documents(const RowDiffRequest& request);

}  // namespace holdfast::mongodb
