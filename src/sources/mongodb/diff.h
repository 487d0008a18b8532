// sources/mongodb/diff.h: what an update in the oplog makes of a document.
//
// Shape    three forms of `o`: a whole document, {$v: 1, $set, $unset}, {$v: 2, diff}. A diff has the sections d (deleted
//          fields), u (values of fields that are there), i (fields at the end), b (the last bytes of
//          compressed columns), sNAME (a diff of a document inside); one of an array has a: true, l (its new length), uINDEX, sINDEX
// Errors   corrupt for a form or section that is not known: nothing is skipped
// Threads  no shared state
// Source   MongoDB's update/document_diff_serialization; doc/format/mongodb.md
#pragma once

#include "clients/mongodb/bson.h"

namespace holdfast::mongodb {

enum class UpdateForm : std::uint8_t { whole, modifiers, diff };
UpdateForm form_of(ByteView update);

// `update`: the entry's `o`, not of the form `whole`.
Bytes apply_update(ByteView document, ByteView update);
Bytes apply_diff(ByteView document, ByteView diff);
Bytes apply_modifiers(ByteView document, ByteView update);

}  // namespace holdfast::mongodb
