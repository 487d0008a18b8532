// engine/browse.h: random access to what snapshots hold: one folder's items, any bytes of a file.
//
// Shape    a ChunkCache is shared by all open files; reads that go on near where the last one ended are fetched ahead
// Errors   corrupt, unreachable; an item that does not exist is a nullopt
// Threads  every member from any thread
// Limits   cache_bytes_max of plaintext chunks, leaves_max decoded leaves of a tree and where its leaves are
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/workers.h"
#include "repo/repository.h"
#include "repo/tree.h"

namespace holdfast::engine {

class ChunkCache {
public:
    static constexpr std::size_t cache_bytes_max = 64 * 1024 * 1024;
    using Plain = std::shared_ptr<const Bytes>;

    explicit ChunkCache(repo::Repository& repository, std::size_t bytes_max = cache_bytes_max);
    ~ChunkCache();
    // Reads it, or waits for who reads it now.
    Plain get(const repo::ChunkId& id);
    void fetch_ahead(const repo::ChunkId& id);

private:
    struct Slot {
        Plain plain;  // null while it is on its way
        std::exception_ptr failure;
        std::list<repo::ChunkId>::iterator age;
    };
    std::shared_ptr<Slot> read(const repo::ChunkId& id, std::shared_ptr<Slot> slot);
    void make_room();

    repo::Repository& repository_;
    const std::size_t bytes_max_;
    std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable arrived_;
    std::unordered_map<repo::ChunkId, std::shared_ptr<Slot>, IdHash> slots_;
    std::list<repo::ChunkId> ages_;  // newest first; only what has arrived
    std::size_t bytes_ = 0;

    Workers workers_;
};

// One file's bytes.
class OpenedItem {
public:
    OpenedItem(ChunkCache& cache, repo::TreeEntry entry);
    // Fewer than asked only at the end.
    std::size_t read(std::uint64_t offset, MutableByteView into);
    const Item& item() const { return entry_.item; }

private:
    static constexpr std::uint64_t ahead_bytes = 8 * 1024 * 1024;
    static constexpr std::uint64_t near_bytes = 4 * 1024 * 1024;
    bool goes_on(std::uint64_t offset, std::size_t bytes);
    void fetch_ahead(std::size_t extent, std::uint64_t offset);

    ChunkCache& cache_;
    repo::TreeEntry entry_;
    std::vector<std::uint64_t> begins_;  // of each extent, in the file
    std::mutex mutex_;
    // guarded by mutex_
    std::uint64_t next_ = 0;    // where a sequential read goes on
    std::size_t ahead_to_ = 0;  // extents before this one were asked for
};

// One snapshot's tree.
class Browser {
public:
    static constexpr std::size_t leaves_max = 64;

    Browser(repo::Repository& repository, const repo::Snapshot& snapshot);
    // "/" for trees of absolute paths, "" for others: the folder that everything lies in.
    const std::string& top() const { return top_; }
    std::optional<repo::TreeEntry> find(const std::string& path);
    // The items directly in a folder.
    void list(const std::string& folder, const std::function<void(const Item&)>& each);

private:
    using Leaf = std::vector<repo::TreeEntry>;
    std::size_t leaf_with(const std::string& key) const;
    std::shared_ptr<const Leaf> leaf(std::size_t number);

    repo::Repository& repository_;
    std::vector<repo::LeafRef> leaves_;
    std::string top_;
    std::mutex mutex_;
    // guarded by mutex_
    std::map<std::size_t, std::shared_ptr<const Leaf>> read_;
    std::list<std::size_t> ages_;  // of read_, newest first
};

}  // namespace holdfast::engine
