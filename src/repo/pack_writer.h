// repo/pack_writer.h: plaintext in, ids out; what is new is sealed into packs and uploaded.
//
// Shape    id → known? → compress → seal → open again → section → pack → store: add() is that line
// Errors   unreachable, no_space, corrupt (a chunk did not open again); the first one is thrown by every later call
// Threads  add() and add_node() from any thread: the caller does the work; uploads run on threads of their own
// Limits   at most one open section a calling thread and kind; who sends a pack while uploads_max are on their way waits,
//          without an open one
// I1  a place is handed out by take_finished() only after the store confirmed its pack
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/queue.h"
#include "repo/chunk_reader.h"

namespace holdfast::repo {

class PackWriter {
public:
    static constexpr std::size_t uploads_max = 3;

    enum class Mode : std::uint8_t { upload, count_only };
    // `compression` is of contents; what the repository keeps for itself is small.
    PackWriter(const Keyring& keys, Store& store, Index& index, World& world, Mode mode,
               codec::Compression compression = codec::usual_compression);
    ~PackWriter();  // abandons what was not finished

    struct Added {
        ChunkId id;
        bool fresh = false;  // it was not known and is stored now
    };
    Added add(ByteView plain);
    Added add_state(ByteView plain);
    Added add_node(ByteView reachable, ByteView content);
    // Is it stored already, in this session or before?
    bool knows(const ChunkId& id);

    // Everything added so far is in the store when it returns.
    void finish();
    // Packs confirmed since the last call; the caller publishes them in a fragment.
    std::vector<PackContents> take_finished();
    // The index answers for these from now on.
    void forget(const std::vector<PackContents>& published);
    std::size_t places_waiting() const { return places_waiting_; }

    std::uint64_t bytes_added() const { return bytes_added_; }    // plaintext
    std::uint64_t bytes_stored() const { return bytes_stored_; }  // of packs
    std::uint64_t chunks_added() const { return chunks_added_; }

private:
    static constexpr std::size_t rooms_max = 1;
    static constexpr std::size_t outgoing_max = 64;  // never reached: senders wait before
    struct Outgoing {
        PackKind kind;
        Bytes bytes;
        std::vector<ChunkPlace> places;
    };
    Added store(PackKind kind, const ChunkId& id, ByteView reachable, ByteView content);
    std::unique_ptr<SectionBuilder> borrow(PackKind kind);
    void give_back(PackKind kind, std::unique_ptr<SectionBuilder> section);
    void send(PackKind kind, std::vector<std::unique_ptr<SectionBuilder>> sections);
    void upload();
    bool claim(const ChunkId& id);
    void rethrow_if_failed();

    const Keyring& keys_;
    Store& store_;
    Index& index_;
    World& world_;
    const Mode mode_;
    const codec::Compression compression_;
    std::atomic<std::uint64_t> bytes_added_{0};
    std::atomic<std::uint64_t> bytes_stored_{0};
    std::atomic<std::uint64_t> chunks_added_{0};
    std::atomic<std::size_t> places_waiting_{0};

    std::mutex mutex_;
    // guarded by mutex_
    std::unordered_set<ChunkId, IdHash> claimed_;
    std::array<std::vector<std::unique_ptr<SectionBuilder>>, 4> idle_;  // by kind
    // Of packs that were uploaded. To touch fresh memory costs more than to write what goes into it.
    std::vector<Bytes> rooms_;
    std::vector<PackContents> finished_;
    std::exception_ptr failure_;
    std::size_t on_their_way_ = 0;
    std::condition_variable arrived_;

    BoundedQueue<Outgoing> outgoing_{outgoing_max};
    std::vector<std::jthread> uploaders_;
};

}  // namespace holdfast::repo
