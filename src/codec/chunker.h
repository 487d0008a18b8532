// codec/chunker.h: where to cut a stream into chunks, by its content.
//
// Shape    gear hash over a keyed table of 256 numbers; a cut where the hash is below a threshold
// Units    bytes
// Errors   corrupt for sizes that do not make sense: 64 <= min < mean < max must hold
// Threads  const and thread-safe
// I1  cuts are a function of bytes and key only, never of how they were read or by how many workers
// Source   doc/format/chunks.md; gear hash: Xia et al., USENIX ATC 2016
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/secret.h"

namespace holdfast::codec {

struct ChunkSizes {
    std::uint32_t min = 384 * 1024;
    std::uint32_t mean = 1024 * 1024;
    std::uint32_t max = 4 * 1024 * 1024;
    bool operator==(const ChunkSizes&) const = default;
};

class Chunker {
public:
    Chunker(ChunkSizes sizes, const Secret& key);
    // The length of the first chunk of `bytes`, whose first byte begins a chunk. When no cut lies in `bytes`
    // and it is shorter than max, it is bytes.size() if `last`, else 0: give more.
    std::size_t first_cut(ByteView bytes, bool last) const;
    // Of a record with this hash: with a chance in proportion to its bytes, so that chunks get their mean length.
    bool may_cut_behind(std::uint64_t record_hash, std::size_t record_bytes) const;
    const ChunkSizes& sizes() const { return sizes_; }

private:
    ChunkSizes sizes_;
    std::uint64_t threshold_;
    Secret record_key_;
    std::array<std::uint64_t, 256> gear_;
};

}  // namespace holdfast::codec
