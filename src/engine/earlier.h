// engine/earlier.h: the content that an item had, of which a source says what is still the same.
//
// Shape    runs of bytes, of the earlier content or read anew, become one list of extents. What is the same stays where
//          it lies: within chunks of which other parts are out of date
// Limits   wear is bounded: what lies in chunks that are half out of date, or in too many pieces, is not kept
// Threads  pure
// Source   doc/adr/0011
#pragma once

#include <vector>

#include "repo/tree.h"
#include "source/source.h"

namespace holdfast::engine {

class Earlier {
public:
    explicit Earlier(std::vector<repo::Extent> content);
    const std::vector<repo::Extent>& content() const { return content_; }
    const std::vector<ByteRange>& kept() const { return kept_; }  // may be taken over; the rest is to be stored anew

private:
    const std::vector<repo::Extent> content_;
    std::vector<ByteRange> kept_;
};

struct ContentRun {
    bool is_earlier = false;  // else read anew
    std::uint64_t from = 0;   // in the earlier content, or in what was read anew
    std::uint64_t bytes = 0;
};
// Joins it with the last one where it goes on.
void add_run(std::vector<ContentRun>& runs, const ContentRun& run);

std::vector<repo::Extent> joined(const std::vector<ContentRun>& runs, const std::vector<repo::Extent>& earlier,
                                 const std::vector<repo::Extent>& fresh);

}  // namespace holdfast::engine
