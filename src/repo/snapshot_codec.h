// repo/snapshot_codec.h: a snapshot's record as bytes: two sealed parts in one signed object.
//
// Errors   corrupt; denied when this key holds neither part
// Source   doc/format/snapshot.md
#pragma once

#include "repo/keys.h"
#include "repo/snapshot.h"

namespace holdfast::repo {

Bytes encode_snapshot(const Keyring& keys, const Snapshot& snapshot, Random& random);
// Verifies the signature. With `provenance` (the origin's signed record, of another repository) the id is the
// origin's; only full-role signers may bring one.
Snapshot decode_snapshot(const Keyring& keys, ByteView record, ByteView provenance);

}  // namespace holdfast::repo
