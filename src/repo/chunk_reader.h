// repo/chunk_reader.h: from ids back to bytes.
//
// Errors   corrupt when no location gives bytes whose keyed id is the one asked for, also where a store that answers cannot
//          read them (a bad sector); unreachable: the store as a whole is away
// Threads  every member from any thread
// Limits   section_openers_max sections stay open; windows_max runs that were fetched ahead, of ahead_bytes_max each; what
//          lies within lead_max of its pack's beginning is read from there, with the section's header, and windows_max such
//          beginnings of nodes or state stay
// I1  bytes leave only after their id was recomputed; a location that fails is passed over for the next
// Source   doc/format/pack.md; review.md A2
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "repo/index.h"

namespace holdfast::repo {

struct Node {
    Bytes reachable;
    Bytes content;
};

// A run of chunks that are read by one request.
struct ReadRun {
    PackRef pack;
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
    struct Wanted {
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
        std::size_t number = 0;  // the caller's, into the ids it planned
    };
    std::vector<Wanted> wanted;  // in offset order
};

class ChunkReader {
public:
    static constexpr std::size_t section_openers_max = 64;
    static constexpr std::uint32_t gap_max = 256 * 1024;
    static constexpr std::uint32_t run_bytes_max = 4 * 1024 * 1024;
    static constexpr std::uint32_t ahead_bytes_max = 1024 * 1024;
    static constexpr std::size_t windows_max = 3;
    static constexpr std::uint32_t lead_max = 64 * 1024;

    ChunkReader(Store& store, const Keyring& keys, Index& index);
    ~ChunkReader();

    Bytes read(const ChunkId& id);        // of a data chunk
    Bytes read_state(const ChunkId& id);  // of a chunk of state
    Node read_node(const ChunkId& id);
    // R alone, of one place: that it is R of this node only its author says, so what the store does not give is never passed
    // over for another place: unreachable. repo/reach.h
    Bytes read_reachable(const ChunkId& id, const Location& place);

    // Groups ids by pack and nearness, packs in the order of their first use. What has no place is left out and
    // fails when it is read by itself.
    std::vector<ReadRun> plan(std::span<const ChunkId> ids);
    // Reads one run; `each` gets the plaintext of every data chunk in it. One that fails here is tried at its other
    // places; when all fail, `failed` gets the error.
    void read_run(const ReadRun& run, std::span<const ChunkId> ids,
                  const std::function<void(std::size_t number, ByteView plain)>& each,
                  const std::function<void(std::size_t number, const Error& error)>& failed);
    // Fetches the first of `ids`, and as many of the next as lie close behind it, by one request; reading them asks the store
    // no more. How many these are: alone the first is not fetched. What is wrong with them shows when they are read.
    std::size_t fetch_ahead(std::span<const ChunkId> ids);
    std::uint64_t requests() const { return requests_; }
    std::uint64_t bytes_read() const { return bytes_read_; }

private:
    using Use = std::function<void(const ChunkRecord&, ByteView sealed, SectionOpener&, const std::string& object)>;
    void at_any_place(const ChunkId& id, const Use& use);
    void at_place(const ChunkId& id, const Location& place, const Use& use);
    std::optional<Error> damage_at(const ChunkId& id, const Location& place, const Use& use);
    bool is_about_one_object(const Error& error);
    void with_opener(const PackRef& pack, std::uint32_t section, ByteView bytes, std::uint32_t bytes_offset,
                     const std::function<void(SectionOpener&)>& use);
    static void require(bool is_so, const ChunkId& id, const std::string& object);

    // Bytes of a pack.
    struct Window {
        std::uint32_t offset = 0;
        Bytes bytes;
    };
    // What was fetched ahead.
    struct Ahead {
        Window window;
        std::vector<std::pair<ChunkId, Location>> chunks;
    };
    struct Held {
        std::shared_ptr<const Ahead> ahead;
        Location place;
    };
    std::optional<Held> held(const ChunkId& id);
    // The beginning of a pack of nodes or state, from a far store.
    struct Lead {
        PackRef pack;
        Window window;
    };
    std::shared_ptr<const Lead> lead_of(const Location& place);
    void use_record(const ChunkId& id, const Location& place, const Window& window, const Use& use);

    struct OpenSection {
        PackId pack;
        std::uint32_t section;
        std::unique_ptr<SectionOpener> opener;
    };
    struct KnownSection {
        PackId pack;
        std::uint32_t section;
        std::shared_ptr<const Bytes> header;
    };
    std::shared_ptr<const Bytes> header_of(const PackRef& pack, std::uint32_t section, ByteView bytes,
                                           std::uint32_t bytes_offset);
    Store& store_;
    const Keyring& keys_;
    Index& index_;
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> bytes_read_{0};
    std::mutex mutex_;
    // guarded by mutex_
    std::list<OpenSection> idle_;                    // newest first
    std::list<KnownSection> headers_;                // newest first
    std::list<std::shared_ptr<const Ahead>> ahead_;  // newest first
    std::list<std::shared_ptr<const Lead>> leads_;   // newest first
};

// Chunks that are read one after another: those near each other come by one request, twice as many each time.
class ReadAhead {
public:
    // `count`: how many of the first will be wanted.
    explicit ReadAhead(ChunkReader& chunks, std::size_t count = 1) : chunks_(chunks), count_(count) {}
    // The chunk `id` of `all[number]` is read next; `all` is the same each time.
    template <class Each>
    void reach(const std::vector<Each>& all, std::size_t number) {
        if (number < fetched_) return;
        if (number > fetched_) count_ = 1;
        std::vector<ChunkId> ids;
        for (std::size_t i = number; i < std::min(number + count_, all.size()); ++i) ids.push_back(all[i].id);
        fetched_ = number + chunks_.fetch_ahead(ids);
        count_ = std::min(2 * count_, count_max);
    }

private:
    static constexpr std::size_t count_max = 64;

    ChunkReader& chunks_;
    std::size_t fetched_ = 0;  // up to here
    std::size_t count_;
};

ChunkId data_id(const crypto::IdKey& key, ByteView plain);
ChunkId state_id(const crypto::IdKey& key, ByteView plain);
ChunkId node_id(const crypto::IdKey& key, ByteView reachable, ByteView content);
// Are these bytes what the id stands for, in any domain whose keys are there?
bool is_data(const Keyring& keys, const ChunkId& id, ByteView plain);
bool is_of_kind(const Keyring& keys, PackKind kind, const ChunkId& id, ByteView reachable, ByteView content);

}  // namespace holdfast::repo
