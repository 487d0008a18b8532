// repo/segment_pack.h: segments of one lane put together, byte for byte, so that a journal is few objects.
//
// Shape    u32 length of the table, table (signed), segments; the table says of each where it lies and what its head
//          says, so that a listing reads tables only
// Errors   corrupt
// Source   doc/format/journal.md; review.md C4
#pragma once

#include <optional>
#include <vector>

#include "repo/repository.h"
#include "repo/segment.h"

namespace holdfast::repo {

class Journal;

// Nothing: it was put together by someone who may not do that.
std::optional<std::vector<Segment>> read_segment_pack(const Repository& repository, const std::string& object);
Bytes encode_segment_table(const Keyring& keys, const std::vector<Segment>& segments, Random& random);
std::optional<std::vector<Segment>> decode_segment_table(const Keyring& keys, ByteView bytes, std::string_view what);

struct CompactLimits {
    std::uint64_t pack_bytes = 32 * 1024 * 1024;
    std::size_t segments_min = 16;        // fewer than these stay as they are
    Nanoseconds age = 3600 * one_second;  // younger ones do, too, unless they fill a pack
};
struct Compacted {
    std::uint64_t packs = 0;
    std::uint64_t segments = 0;
};
// The last segment of a lane is never touched. The journal has to be read anew afterwards.
Compacted compact_journal(const Repository& repository, const Journal& journal, const CompactLimits& limits);

}  // namespace holdfast::repo
