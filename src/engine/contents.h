// engine/contents.h: from items' bytes to extents, in parallel, with cuts that do not depend on the workers.
//
// Shape    read (workers) → small files: bundled in item order (caller) · large ones: cut (workers)
//          → id → known? → compress → seal (workers)
// Errors   those of reading are findings of the item; those of storing end the backup; cancelled, terminated between
//          two reads, however large the item
// Threads  submit(), end() and wait() from one thread
// Limits   a run of small files holds about run_bytes; workers_waiting_max tasks wait at most
// I1  bundles depend on bytes, key and item order only (doc/format/chunks.md)
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/workers.h"
#include "engine/earlier.h"
#include "engine/line_memory.h"
#include "engine/progress.h"
#include "repo/session.h"
#include "repo/tree.h"
#include "source/source.h"

namespace holdfast::engine {

// One item on its way: filled by workers, the caller's again once done.
struct ItemJob {
    std::shared_ptr<const Batch> batch;
    std::size_t number = 0;  // in the batch
    Item item;
    std::vector<repo::Extent> content;
    std::shared_ptr<const Earlier> earlier;  // what the item is based on; null: nothing
    std::vector<ContentRun> runs;            // of `earlier` and of what was read; empty: all was read
    std::vector<Finding> findings;
    bool shares_content = false;          // a further name of a file: the first one is read, this one only completed
    bool is_apart = false;                // it has the number of another file: it is read, and loses the number
    bool left_out = false;                // it could not be read and gets no place in the snapshot
    std::atomic<std::uint32_t> parts{1};  // outstanding; 0: done
    const Batch::Entry& entry() const { return batch->entries[number]; }
    bool done() const { return parts.load(std::memory_order_acquire) == 0; }
};

class Contents {
public:
    static constexpr std::uint64_t run_bytes = 1024 * 1024;
    static constexpr std::size_t run_items = 256;
    static constexpr std::size_t workers_waiting_max = 6;
    static constexpr std::uint64_t spread_bytes = 16 * 1024 * 1024;  // larger files use all workers
    static constexpr std::int64_t line_extents_max = 768 * 1024;     // of items that are lines, all together

    Contents(Capture& capture, repo::PackWriter& packs, const repo::Keyring& keys, const Stop& stop, Progress& progress,
             LineMemory& lines, std::size_t workers);
    ~Contents();

    // In item order. Items without content are completed, files read and stored.
    void submit(std::shared_ptr<ItemJob> job);
    // Small items that wait for more of them wait no longer.
    void start_run();
    // No more jobs come.
    void end();
    void wait(const ItemJob& job);
    // What ended the workers, if something did.
    void rethrow_if_failed() const { workers_.rethrow_if_failed(); }
    std::uint64_t bytes_read() const { return bytes_read_; }

private:
    struct Member {
        std::shared_ptr<ItemJob> job;
        std::size_t offset = 0;
        std::size_t bytes = 0;
        std::array<std::uint8_t, 16> fingerprint{};
        bool streamed = false;  // it went its own way
    };
    struct Run {  // items handled by one task
        std::vector<Member> members;
        Bytes bytes;
        std::uint64_t expected = 0;
        std::atomic<bool> done{false};
    };
    struct Bundle {  // small files that share a chunk
        Bytes bytes;
        // guarded by Contents::mutex_
        std::optional<repo::ChunkId> id;
        std::vector<std::pair<std::shared_ptr<ItemJob>, std::uint32_t>> waiting;
    };
    struct Place {
        std::shared_ptr<Bundle> bundle;
        std::uint32_t offset;
    };
    struct TagHash {
        std::size_t operator()(const std::array<std::uint8_t, 16>& tag) const {
            std::size_t value;
            std::memcpy(&value, tag.data(), sizeof value);
            return value;
        }
    };

    void take_finished_runs();
    void read_run(Run& run);
    void read_small(Run& run, Member& member);
    // Of an item that cannot be read on, an end like any other: it is left out.
    ItemData::Piece read_piece(ItemJob& job, ItemData& data, MutableByteView into);
    void bundle_run(Run& run);
    void put_in_bundle(const Member& member, ByteView bytes);
    void close_bundle();
    void read_large(const std::shared_ptr<ItemJob>& job);
    // `begun` and `hole` were read from the data before.
    void read_stream(const std::shared_ptr<ItemJob>& job, ItemData& data, ByteView begun, std::uint64_t hole);
    void read_lines(const std::shared_ptr<ItemJob>& job, ItemData& data);
    // `plain` lies in the block, which nobody changes there.
    void store_piece(const std::shared_ptr<ItemJob>& job, const std::shared_ptr<Bytes>& block, ByteView plain,
                     bool spread);
    void part_done(ItemJob& job);
    // Those of the usual size are used again.
    std::shared_ptr<Bytes> take_block(std::size_t bytes);

    Capture& capture_;
    repo::PackWriter& packs_;
    const repo::Keyring& keys_;
    const Stop& stop_;
    Progress& progress_;
    LineMemory& lines_;
    std::atomic<std::int64_t> line_extents_left_{line_extents_max};
    const std::uint64_t small_max_;
    const std::size_t block_bytes_;  // a chunk of any length, and what is read behind it
    std::atomic<std::uint64_t> bytes_read_{0};
    std::shared_ptr<Run> filling_;
    std::deque<std::shared_ptr<Run>> reading_;
    std::shared_ptr<Bundle> bundle_;
    std::unordered_map<std::array<std::uint8_t, 16>, Place, TagHash> known_;  // small contents of this session
    std::mutex mutex_;
    std::condition_variable changed_;
    std::mutex blocks_mutex_;
    std::vector<std::unique_ptr<Bytes>> blocks_;  // that nobody uses; guarded by blocks_mutex_
    Workers workers_;                             // last: joined before anything else goes
};

}  // namespace holdfast::engine
