// engine/copy_tree.h: one snapshot's tree, made anew in another repository.
//
// Shape    walk → chunks not yet known, in the order of their packs → add() → extents renamed → tree of the target
// Errors   corrupt when a chunk cannot be had: then the tree is not to be committed; those of the target's packs
// Threads  one thread an object; chunks are read and sealed by workers
// Limits   window_items and window_bytes wait in memory; ChunkNames::names_max names are remembered
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/workers.h"
#include "engine/progress.h"
#include "repo/session.h"
#include "repo/tree.h"

namespace holdfast::engine {

// The items of a tree one after the other.
class TreeItems {
public:
    TreeItems(repo::Repository& repository, const repo::Snapshot& snapshot);
    const repo::TreeEntry* next();

private:
    repo::TreeReader tree_;
    std::vector<repo::LeafRef> leaves_;
    std::vector<repo::TreeEntry> entries_;
    std::size_t leaf_ = 0, at_ = 0;
};

// The same item with its contents cut at the same places.
bool same_shape(const repo::TreeEntry& a, const repo::TreeEntry& b);

// What a chunk of the origin is called in the target. Kept from snapshot to snapshot, and only a help: what is not in it
// is read again and found to be known.
class ChunkNames {
public:
    static constexpr std::size_t names_max = 1'000'000;

    void put(const repo::ChunkId& origin, const repo::ChunkId& name);
    std::optional<repo::ChunkId> find(const repo::ChunkId& origin) const;
    bool full() const { return names_.size() >= names_max; }
    // Learns from a snapshot that both repositories have: its trees hold the same items in the same order.
    void learn(repo::Repository& from, const repo::Snapshot& origin, repo::Repository& to, const repo::Snapshot& copy);

private:
    std::unordered_map<repo::ChunkId, repo::ChunkId, IdHash> names_;
};

class TreeCopy {
public:
    static constexpr std::size_t window_items = 16 * 1024;
    static constexpr std::uint64_t window_bytes = 256 * 1024 * 1024;

    TreeCopy(repo::Repository& from, repo::Repository& to, repo::Session& session, ChunkNames& names,
             Progress& progress);
    // The root in the target.
    repo::ChunkId copy(const repo::Snapshot& snapshot);

private:
    void add(repo::TreeEntry&& entry);
    void write_window();
    void read_chunks();

    repo::Repository& from_;
    repo::Repository& to_;
    repo::Session& session_;
    ChunkNames& names_;
    Progress& progress_;
    repo::TreeWriter tree_;
    std::vector<repo::TreeEntry> window_;
    std::unordered_map<repo::ChunkId, repo::ChunkId, IdHash> settled_;  // of the window; zero: to be read
    std::vector<repo::ChunkId> to_read_;
    std::uint64_t bytes_to_read_ = 0;
    Workers workers_;
};

}  // namespace holdfast::engine
