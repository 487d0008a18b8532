// engine/line_item.h: the lines of one item on their way to extents: those that are stored already are found again, the
// others go together into chunks of whole lines.
//
// Shape    add(bytes in any pieces), end(); chunks go out by `store` and come back by settle(), in any order; then finish()
// Errors   those of `store`
// Threads  settle() from any; the rest from one, finish() after the last settle()
// Limits   one chunk in memory, and 48 bytes an extent; `extents_left` bounds those of all items
// I1  the extents give back what was added, byte for byte
// I2  chunks of lines that were never seen depend on the lines and a key only
// Source   doc/format/lines.md; doc/adr/0012
#pragma once

#include <atomic>
#include <functional>
#include <unordered_map>

#include "codec/chunker.h"
#include "engine/line_memory.h"
#include "repo/tree.h"

namespace holdfast::engine {

class LineItem {
public:
    using Store = std::function<void(std::uint32_t number, Bytes bytes)>;
    // `known`, `record`: null when nothing is remembered.
    LineItem(const Secret& key, std::unique_ptr<KnownLines> known, std::unique_ptr<LineRecord> record,
             const codec::ChunkSizes& sizes, std::atomic<std::int64_t>& extents_left, Store store);

    void add(ByteView bytes);
    void end();
    std::uint64_t bytes() const { return bytes_; }
    void settle(std::uint32_t number, const repo::ChunkId& id);
    // The content. `is_remembered`: the record is whole.
    struct Finished {
        std::vector<repo::Extent> content;
        bool is_remembered = false;
    };
    Finished finish();

private:
    void add_line(ByteView line);
    void add_fresh(ByteView bytes);
    void add_known(const LinePlace& place, std::size_t length);
    void store_fresh();

    const Secret& key_;
    std::unique_ptr<KnownLines> known_;
    const std::unique_ptr<LineRecord> record_;
    const codec::ChunkSizes sizes_;
    const std::size_t line_max_;
    std::atomic<std::int64_t>& extents_left_;
    const Store store_;
    std::uint64_t bytes_ = 0;
    Bytes line_;            // the begin of one whose end has not come
    bool is_long_ = false;  // within a line too long to be remembered
    std::vector<repo::Extent> content_;
    Bytes fresh_;
    std::uint32_t fresh_number_ = 0;
    std::size_t fresh_from_ = 0;  // the first extent that may be of it
    bool extends_last_ = false;   // the last extent is of what is fresh now
    // Chunks that extents are of: those stored here, whose ids come later, and those found again.
    struct Stored {
        std::uint32_t number = 0;
        std::size_t from = 0, to = 0;  // its extents are those without an id among these
    };
    std::vector<Stored> stored_;
    std::unordered_map<const LineChunk*, std::uint32_t> found_;
    const LineChunk* last_found_ = nullptr;
    std::uint32_t last_number_ = 0;
    std::mutex mutex_;
    std::vector<LineChunk> chunks_;  // guarded by mutex_
};

}  // namespace holdfast::engine
