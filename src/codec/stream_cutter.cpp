#include "codec/stream_cutter.h"

#include <algorithm>

namespace holdfast::codec {

void StreamCutter::record(std::size_t at, std::size_t bytes, std::uint64_t hash) {
    if (chunker_.may_cut_behind(hash, bytes)) chosen_.push_back(last_cut_ + at);
}

std::size_t StreamCutter::next(ByteView bytes, bool last) {
    const std::size_t cut = find(bytes, last);
    last_cut_ += cut;
    return cut;
}

std::size_t StreamCutter::find(ByteView bytes, bool last) {
    if (!has_records_) return chunker_.first_cut(bytes, last);
    const ChunkSizes& sizes = chunker_.sizes();
    while (!chosen_.empty() && chosen_.front() < last_cut_ + sizes.min) chosen_.pop_front();
    const std::size_t room = std::min<std::size_t>(bytes.size(), sizes.max);
    if (!chosen_.empty() && chosen_.front() <= last_cut_ + room)
        return static_cast<std::size_t>(chosen_.front() - last_cut_);
    if (bytes.size() >= sizes.max) return chunker_.first_cut(bytes, last);
    return last ? bytes.size() : 0;
}

}  // namespace holdfast::codec
