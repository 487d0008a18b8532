// sources/postgres/row_diff.h: which rows of a table differ between a capture and a server, by primary key.
//
// Shape    both sides are read twice: first into sums over buckets of keys, then only rows of buckets that differ are
//          kept and matched; the server is seen in one transaction
// Errors   target_failed; corrupt when the captured rows are no statement of ours
// Threads  one
// Limits   rows_held_max rows of each side; what does not fit is not listed, and said
#pragma once

#include "source/source.h"

namespace holdfast::postgres {

RowDiff diff_rows(const RowDiffRequest& request);

}  // namespace holdfast::postgres
