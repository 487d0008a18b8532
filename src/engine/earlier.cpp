#include "engine/earlier.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"

namespace holdfast::engine {

namespace {

constexpr std::uint64_t region_bytes = 1024 * 1024;
constexpr std::size_t region_extents_max = 1024;  // more pieces cost more than they save

struct Use {
    std::uint64_t bytes = 0, begin = UINT64_MAX, end = 0;
    // Nobody knows how long the chunk is; this much it was at least.
    bool is_worn() const { return bytes * 2 < end - begin; }
};

// Extents of a content, found by place.
class Slices {
public:
    explicit Slices(const std::vector<repo::Extent>& content) : content_(content) {
        begins_.reserve(content.size());
        for (const repo::Extent& extent : content) {
            begins_.push_back(bytes_);
            bytes_ += extent.length;
        }
    }

    void append(std::uint64_t from, std::uint64_t bytes, std::vector<repo::Extent>& to) const {
        HF_ASSERT(from + bytes <= bytes_);
        auto number = static_cast<std::size_t>(std::ranges::upper_bound(begins_, from) - begins_.begin()) - 1;
        for (; bytes > 0; ++number) {
            const repo::Extent& extent = content_[number];
            const std::uint64_t skipped = from - begins_[number];
            const std::uint64_t taken = std::min(bytes, extent.length - skipped);
            add({extent.chunk, extent.is_hole() ? 0 : extent.offset + static_cast<std::uint32_t>(skipped), taken}, to);
            from += taken;
            bytes -= taken;
        }
    }

private:
    static void add(const repo::Extent& extent, std::vector<repo::Extent>& to) {
        const bool goes_on = !to.empty() && to.back().chunk == extent.chunk &&
                             (extent.is_hole() || to.back().offset + to.back().length == extent.offset);
        if (goes_on)
            to.back().length += extent.length;
        else
            to.push_back(extent);
    }

    const std::vector<repo::Extent>& content_;
    std::vector<std::uint64_t> begins_;
    std::uint64_t bytes_ = 0;
};

}  // namespace

Earlier::Earlier(std::vector<repo::Extent> content) : content_(std::move(content)) {
    std::unordered_map<repo::ChunkId, Use, IdHash> uses;
    for (const repo::Extent& extent : content_) {
        Use& use = uses[extent.chunk];
        use.bytes += extent.length;
        use.begin = std::min<std::uint64_t>(use.begin, extent.offset);
        use.end = std::max(use.end, extent.offset + extent.length);
    }
    std::uint64_t at = 0;
    for (std::size_t begin = 0, end = 0; begin < content_.size(); begin = end) {
        std::uint64_t bytes = 0;
        for (; end < content_.size() && bytes < region_bytes; ++end) bytes += content_[end].length;
        const bool is_in_pieces = (end - begin) * region_bytes > region_extents_max * std::max(bytes, region_bytes);
        for (std::size_t i = begin; i < end; ++i) {
            const repo::Extent& extent = content_[i];
            if (!is_in_pieces && !uses.at(extent.chunk).is_worn()) {
                if (!kept_.empty() && kept_.back().end == at)
                    kept_.back().end += extent.length;
                else
                    kept_.push_back({at, at + extent.length});
            }
            at += extent.length;
        }
    }
}

void add_run(std::vector<ContentRun>& runs, const ContentRun& run) {
    if (run.bytes == 0) return;
    if (!runs.empty() && runs.back().is_earlier == run.is_earlier && runs.back().from + runs.back().bytes == run.from)
        runs.back().bytes += run.bytes;
    else
        runs.push_back(run);
}

std::vector<repo::Extent> joined(const std::vector<ContentRun>& runs, const std::vector<repo::Extent>& earlier,
                                 const std::vector<repo::Extent>& fresh) {
    const Slices of_earlier(earlier), of_fresh(fresh);
    std::vector<repo::Extent> out;
    for (const ContentRun& run : runs) (run.is_earlier ? of_earlier : of_fresh).append(run.from, run.bytes, out);
    return out;
}

}  // namespace holdfast::engine
