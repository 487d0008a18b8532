// codec/stream_cutter.h: where to cut one stream, behind its records where it has some.
//
// Shape    cutter.record(…) for each that ends in the bytes at hand; while (cut = cutter.next(bytes, last)) …
// Units    bytes
// Threads  one owner
// I1  as in chunker.h: cuts are a function of bytes, records and key only
// Source   doc/format/chunks.md
#pragma once

#include <deque>

#include "codec/chunker.h"

namespace holdfast::codec {

class StreamCutter {
public:
    StreamCutter(const Chunker& chunker, bool has_records) : chunker_(chunker), has_records_(has_records) {}

    // One of so many bytes ends `at` bytes behind the last cut; `hash` is of its bytes.
    void record(std::size_t at, std::size_t bytes, std::uint64_t hash);
    // The length of the chunk that `bytes`, those behind the last cut, begin with; 0: give more. It counts as cut.
    std::size_t next(ByteView bytes, bool last);

private:
    std::size_t find(ByteView bytes, bool last);

    const Chunker& chunker_;
    const bool has_records_;
    std::uint64_t last_cut_ = 0;
    std::deque<std::uint64_t> chosen_;  // ends of records behind which a chunk of any length may end
};

}  // namespace holdfast::codec
