// sources/mongodb/changes.h: of a collection's documents, in the order of _id, those that are not what they were.
//
// Shape    add(document); while (const Part* part = front()) … pop(); at the end end(), and what is left
// Threads  one owner
// Limits   run_bytes_min of documents are held back, to see whether a run of unchanged ones is worth an extent
// I1  what is the same was compared by a keyed hash of its whole bytes, and lies in what the repository has
#pragma once

#include <deque>
#include <memory>

#include "sources/mongodb/memory.h"

namespace holdfast::mongodb {

class Changes {
public:
    // `earlier`: null where nothing is known; `now`: null where nothing is to be remembered.
    Changes(std::unique_ptr<MemoryReader> earlier, std::vector<ByteRange> kept, std::shared_ptr<MemoryWriter> now,
            const HashKey& hash_key);

    // All documents are handed out, and none is remembered.
    static Changes none() { return {nullptr, {}, nullptr, {}}; }

    struct Part {
        ByteView bytes;          // of this document, or of those held back before it; or
        ByteRange same = {};     // where in the earlier content these lie
        std::uint64_t hash = 0;  // of the last document in `bytes`, as it was given
    };
    // `document` must stay until its parts are popped.
    void add(ByteView document, std::uint64_t hash);
    void end();
    const Part* front() const { return parts_.empty() ? nullptr : &parts_.front(); }
    void pop() { parts_.pop_front(); }

private:
    static constexpr std::uint64_t run_bytes_min = 2048;
    static constexpr std::uint64_t run_bytes_max = 16 * 1024 * 1024;  // so that who reads sees how far it is

    std::optional<ByteRange> find_earlier(const std::string& key, const DocumentHash& hash, std::uint64_t bytes);
    void end_run();

    std::unique_ptr<MemoryReader> earlier_;
    std::vector<ByteRange> kept_;
    std::size_t kept_at_ = 0;
    std::shared_ptr<MemoryWriter> now_;
    std::unique_ptr<DocumentHasher> hasher_;  // null where nothing is remembered
    ByteRange run_;
    bool goes_on_ = false;  // a part of the run was handed out
    Bytes held_;            // the documents of a short run
    std::uint64_t held_hash_ = 0;
    Bytes handed_;  // what was held back, while it is handed out
    std::deque<Part> parts_;
};

}  // namespace holdfast::mongodb
