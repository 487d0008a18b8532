// repo/ids.h: the names of things in a repository; different things are different types.
#pragma once

#include "base/bytes.h"

namespace holdfast::repo {

using RepositoryId = Id<struct RepositoryTag, 16>;
using ChunkId = Id<struct ChunkTag, 32>;        // keyed hash of a chunk's or node's plaintext
using PackId = Id<struct PackTag, 32>;          // SHA-256 of a pack's bytes
using FragmentId = Id<struct FragmentTag, 32>;  // SHA-256 of an index fragment's bytes
using SnapshotId = Id<struct SnapshotTag, 32>;  // SHA-256 of a signed snapshot record
using SignerId = Id<struct SignerTag, 16>;      // first half of SHA-256 of a signer's public key

}  // namespace holdfast::repo
