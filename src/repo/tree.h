// repo/tree.h: the items of a snapshot, one sorted prolly tree.
//
// Shape    leaves of 64 to 256 KiB of entries grouped by folder, cut by a keyed tag of an entry's key; inner nodes
//          (first key, id, items); content of an item = extents (chunk, offset, length), long lists in list nodes.
//          Every node has an R part (ids and kinds of what it reaches) and a P part (names, metadata).
// Errors   corrupt
// Threads  one thread an object
// I1  leaf boundaries are a function of the entries since the last boundary, so equal runs of entries give equal leaves
// Source   doc/format/tree.md; review.md C2, A4
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/item.h"
#include "repo/chunk_reader.h"
#include "repo/pack_writer.h"

namespace holdfast::repo {

// A run of an item's bytes: `length` bytes at `offset` in a chunk, or a hole (no chunk).
struct Extent {
    ChunkId chunk;
    std::uint32_t offset = 0;
    std::uint64_t length = 0;
    bool is_hole() const { return chunk.is_zero(); }
    bool operator==(const Extent&) const = default;
};

struct TreeEntry {
    Item item;
    std::vector<Extent> content;
};

enum class ChildKind : std::uint8_t { chunk = 1, list = 2, node = 3 };
struct Child {
    ChildKind kind{};
    ChunkId id;
    auto operator<=>(const Child&) const = default;
};
std::vector<Child> parse_children(ByteView reachable);

struct LeafRef {
    ChunkId id;
    std::string first_key;
    std::uint64_t items = 0;
};

class TreeWriter {
public:
    TreeWriter(const Keyring& keys, PackWriter& packs);
    ~TreeWriter();

    // Entries in tree order. Says whether a leaf ended behind this entry.
    struct Ended {
        LeafRef leaf;
        bool by_cut = false;  // else by the end of the input
    };
    std::optional<Ended> add(const TreeEntry& entry);
    // Takes over a leaf of an earlier tree; only between leaves.
    void reuse(const LeafRef& leaf);
    bool between_leaves() const;
    std::optional<Ended> end_leaf();  // at the end of the input
    // The root; a tree without entries has one empty leaf.
    ChunkId finish();
    std::uint64_t items() const { return items_; }

private:
    struct Leaf;
    Ended write_leaf(bool by_cut);
    void add_to_level(std::size_t level, LeafRef child);
    LeafRef write_inner(std::size_t level);

    const Keyring& keys_;
    PackWriter& packs_;
    std::unique_ptr<Leaf> leaf_;
    std::vector<std::vector<LeafRef>> levels_;
    std::uint64_t items_ = 0;
};

class TreeReader {
public:
    TreeReader(const Keyring& keys, ChunkReader& chunks, const ChunkId& root);

    // Entries in tree order whose key is not below `from` (empty: all), until `each` returns false.
    void walk(const std::string& from_key, const std::function<bool(TreeEntry&&)>& each);
    std::optional<TreeEntry> find(std::string_view path);
    std::vector<LeafRef> leaves();
    std::vector<TreeEntry> read_leaf(const ChunkId& id);
    std::uint64_t items();

    // Of a node that was read already.
    static bool is_leaf(const Node& node);
    static std::vector<LeafRef> children_of(const Node& inner);
    std::vector<TreeEntry> entries_of(const Node& leaf);  // reads lists of extents

private:
    bool walk_node(const ChunkId& id, const std::string& from_key, const std::function<bool(TreeEntry&&)>& each,
                   int depth);
    void leaves_below(const ChunkId& id, std::string first_key, std::vector<LeafRef>& out, int depth);
    std::vector<Extent> read_list(const ChunkId& id);

    const Keyring& keys_;
    ChunkReader& chunks_;
    ChunkId root_;
};

// For fuzzing: parses the parts of a list or an inner node and throws corrupt when they make no sense.
void check_node_syntax(ByteView reachable, ByteView content);

}  // namespace holdfast::repo
