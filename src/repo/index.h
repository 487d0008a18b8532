// repo/index.h: where every chunk lies.
//
// Shape    immutable sorted fragments `index/<sha-256>`: blocks of records (id prefix, pack, offset, length), each
//          sealed by itself, then a sealed header with the packs, the first key of each block and a filter. Only
//          headers are resident; a hit reads blocks through a bounded cache, more at a time the more hits there are.
// Units    bytes
// Errors   corrupt (hash, seal, order), unreachable
// Threads  find() and knows() from any thread, also while load() runs; the rest from one
// Limits   about 2 bytes a chunk resident, BlockCache::blocks_max blocks of 64 KiB
// Source   doc/format/index.md; review.md C1
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "repo/log.h"
#include "repo/pack.h"

namespace holdfast::repo {

struct PackRef {
    PackKind kind = PackKind::data;
    PackId id;
    auto operator<=>(const PackRef&) const = default;
    std::string object() const { return object_name(kind, id); }
};

struct Location {
    PackRef pack;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
};

// What a finished pack adds.
struct PackContents {
    PackRef pack;
    std::uint64_t bytes = 0;  // of the object
    std::vector<ChunkPlace> places;
};

// A chunk in the index: the first 16 bytes of its id. Reading recomputes the whole id, so a prefix is enough.
using ChunkPrefix = Id<struct ChunkPrefixTag, 16>;
inline ChunkPrefix prefix_of(const ChunkId& id) { return ChunkPrefix::from(id.view()); }

struct IndexedPack {
    PackRef ref;
    std::uint64_t bytes = 0;  // of the object
};

struct IndexRecord {
    ChunkPrefix id;
    std::uint32_t pack = 0;  // its place in the fragment's list
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
};

struct EncodedFragment {
    Bytes bytes;
    FragmentBody body;
};
EncodedFragment encode_fragment(const Keyring& keys, std::span<const PackContents> packs, Random& random);
EncodedFragment encode_fragment(const Keyring& keys, std::span<const IndexedPack> packs,
                                std::vector<IndexRecord> records, Random& random);

// Blocks that were read, of all fragments: those used longest ago go first. Any thread.
class BlockCache {
public:
    static constexpr std::size_t blocks_max = 512;
    using Block = std::shared_ptr<const Bytes>;

    std::uint32_t number_a_fragment() { return ++fragments_; }
    // Of the fragments that there are: whether all their blocks have room at the same time.
    void expect(std::size_t blocks) { expected_ += blocks; }
    void expect_no_longer(std::size_t blocks) { expected_ -= blocks; }
    bool has_room_for_all() const { return expected_ <= blocks_max; }
    Block find(std::uint32_t fragment, std::size_t block);  // null: it is not here
    void put(std::uint32_t fragment, std::size_t block, Block bytes);

private:
    struct Held {
        std::uint64_t key;
        Block bytes;
    };
    static std::uint64_t key_of(std::uint32_t fragment, std::size_t block) {
        return std::uint64_t{fragment} << 32 | block;
    }

    std::atomic<std::uint32_t> fragments_{0};
    std::atomic<std::size_t> expected_{0};
    std::mutex mutex_;
    // guarded by mutex_
    std::list<Held> held_;  // newest first
    std::unordered_map<std::uint64_t, std::list<Held>::iterator> places_;
};

class Fragment {
public:
    // `all`: of its blocks, too, by the same request. `here`: its bytes, which the store is not asked for.
    Fragment(Store& store, const Keyring& keys, const KnownFragment& known,
             std::shared_ptr<BlockCache> cache = std::make_shared<BlockCache>(), bool all = false,
             const Bytes* here = nullptr);
    ~Fragment();
    Fragment(const Fragment&) = delete;
    Fragment& operator=(const Fragment&) = delete;
    void find(const ChunkPrefix& id, std::vector<Location>& found);
    // Many at once, sorted by id, with as few requests as that takes. What a damaged block names is left out: find() says why.
    struct Asked {
        ChunkPrefix id;
        std::size_t number = 0;  // the caller's
    };
    void find_all(std::span<const Asked> asked, const std::function<void(std::size_t number, const Location&)>& found);
    // Every record, in id order.
    void scan(const std::function<void(const ChunkPrefix&, const Location&)>& each);
    const std::vector<IndexedPack>& packs() const { return packs_; }
    const KnownFragment& known() const { return known_; }
    std::size_t resident_bytes() const;

private:
    struct Block {
        std::uint64_t first = 0;  // big-endian number of the first id's first 8 bytes
        std::uint32_t offset = 0;
        std::uint32_t bytes = 0;
        std::array<std::uint8_t, crypto::tag_bytes> tag{};
    };
    BlockCache::Block block(std::size_t number);
    // Of as many blocks, by one request; null for one that is not what was signed.
    std::vector<BlockCache::Block> fetch(std::size_t first, std::size_t count);
    // From `sealed`, which lies at `begin` of the fragment.
    std::vector<BlockCache::Block> opened(std::size_t first, std::size_t count, ByteView sealed,
                                          std::uint32_t begin) const;
    void keep(std::size_t first, const std::vector<BlockCache::Block>& blocks);
    // The blocks in which it may lie, the last first.
    void each_block_of(const ChunkPrefix& id, const std::function<void(std::size_t number)>& each) const;
    Location location_in(ByteReader& record) const;  // behind its id
    void search(ByteView records, const ChunkPrefix& id, const std::function<void(const Location&)>& found) const;

    Store& store_;
    const Keyring& keys_;
    KnownFragment known_;
    const std::shared_ptr<BlockCache> cache_;
    const std::uint32_t number_;
    std::atomic<std::size_t> misses_{0};
    // fixed after construction
    std::array<std::uint8_t, 16> salt_{};
    std::vector<IndexedPack> packs_;
    std::vector<Block> blocks_;
    Bytes filter_;
};

class Index {
public:
    Index(Store& store, const Keyring& keys);
    // Loads headers of fragments that are not loaded yet; forgets those that are not in `known`. `own` is not asked for.
    void load(const std::vector<KnownFragment>& known, const EncodedFragment* own = nullptr);
    // Those that are missing or not what was signed. What only they name is not found; load() tries them again.
    struct Unloaded {
        KnownFragment known;
        std::string why;
    };
    const std::vector<Unloaded>& unloaded() const { return unloaded_; }
    // Packs that count as absent (condemned at or below the session's gc number, or deleted).
    void exclude(std::set<PackId> packs);
    const std::set<PackId>& excluded() const { return excluded_; }
    // Packs that a check found damaged: they are still read, but knows() does not rely on them.
    void distrust(std::set<PackId> packs);

    // Fragments whose author is not believed by himself, but which somebody who reads has attested.
    void believe(std::set<FragmentId> attested);

    // Every place of a chunk, in packs not excluded first; excluded ones follow when `also_excluded`.
    std::vector<Location> find(const ChunkId& id, bool also_excluded = false);
    // The same of many, with excluded ones behind the others. What cannot be read is left out, and find() says why.
    std::vector<std::vector<Location>> find_all(std::span<const ChunkId> ids);
    // Those that these fragments name, with excluded ones behind the others.
    std::vector<Location> find_in(const ChunkId& id, const std::function<bool(const Fragment&)>& is_asked);
    // Is there a place that a writer may rely on: neither excluded nor distrusted, by an author who is believed?
    bool knows(const ChunkId& id);

    const std::vector<std::unique_ptr<Fragment>>& fragments() const { return fragments_; }
    std::uint64_t chunks() const;
    std::size_t resident_bytes() const;

private:
    Store& store_;
    const Keyring& keys_;
    const std::shared_ptr<BlockCache> blocks_ = std::make_shared<BlockCache>();
    mutable std::shared_mutex mutex_;
    // guarded by mutex_
    std::vector<std::unique_ptr<Fragment>> fragments_;
    std::vector<Unloaded> unloaded_;
    std::set<PackId> excluded_;
    std::set<PackId> distrusted_;
    std::set<FragmentId> believed_;
};

}  // namespace holdfast::repo
