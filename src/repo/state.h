// repo/state.h: what the next capture must know without reading back.
//
// Shape    one block for each tree leaf: rows (tag of path, tag of version, extents) in tree order; a root with the
//          blocks, the leaves they stand for and the tags of folders. Names and contents are not in it.
//          Sealed to the writer's own key and to readers.
// Errors   corrupt, of a root; whoever meets it goes on without state, which costs a full read and no more. The rows of a
//          block that is damaged or gone are as if they had never been: what they stand for is read again
// Threads  one thread an object
// Limits   resident: 8 bytes a folder and 80 bytes a leaf, plus two blocks; and what is fetched ahead of them
// Source   doc/format/state.md; review.md A3; doc/adr/0004 (rows in tree order, not sorted by tag)
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "repo/tree.h"

namespace holdfast::repo {

struct StateRow {
    std::uint64_t path = 0;     // tag64 of the path
    std::uint64_t version = 0;  // tag64 of what the source calls the version
    std::vector<Extent> content;
    std::uint64_t size = 0;  // of the item
};

struct StateBlock {
    LeafRef leaf;  // the tree leaf that holds the same items
    bool by_cut = false;
    ChunkId id;
    std::uint64_t rows = 0;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> folders;  // tag, first row: folders that begin or go on here
};

std::uint64_t state_tag(const Keyring& keys, std::string_view text);

// Collects rows beside a TreeWriter and writes a block whenever a leaf ends.
class StateWriter {
public:
    StateWriter(const Keyring& keys, PackWriter& packs);
    void add(std::string_view folder, StateRow row);
    void end_leaf(const TreeWriter::Ended& ended);
    void reuse(const StateBlock& block);
    // The id of the root. `gc_number`: the collections that everything reached was checked against.
    ChunkId finish(std::uint64_t gc_number);

private:
    const Keyring& keys_;
    PackWriter& packs_;
    std::vector<StateBlock> blocks_;
    std::vector<StateRow> rows_;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> folders_;
    std::string folder_;
    bool has_folder_ = false;
};

// The state of the capture before, asked in tree order.
class StateReader {
public:
    StateReader(const Keyring& keys, ChunkReader& chunks, const ChunkId& root);
    std::uint64_t gc_number() const { return gc_number_; }

    struct Found {
        std::size_t block = 0;
        std::uint32_t row = 0;
        std::shared_ptr<const std::vector<StateRow>> rows;  // of the block; keeps the row alive
        const StateRow& operator*() const { return (*rows)[row]; }
        const StateRow* operator->() const { return &(*rows)[row]; }
    };
    void begin_folder(std::string_view folder);
    // The row of a path in the folder begun; paths come in tree order. Nothing for one that was not there.
    std::optional<Found> match(std::uint64_t path_tag);
    const StateBlock& block(std::size_t number) const { return blocks_[number]; }
    std::size_t blocks() const { return blocks_.size(); }
    std::size_t lost_blocks() const { return lost_.size(); }  // of those that were asked for

private:
    struct Place {
        std::size_t block = 0;
        std::uint32_t row = 0;
        auto operator<=>(const Place&) const = default;
    };
    std::shared_ptr<const std::vector<StateRow>> rows_of(std::size_t block);  // null: they cannot be had
    std::shared_ptr<const std::vector<StateRow>> read_rows(std::size_t block);
    std::uint32_t end_of_folder(const Place& at) const;
    bool advance_to_end_of_block();
    void index_folder();

    const Keyring& keys_;
    ChunkReader& chunks_;
    std::uint64_t gc_number_ = 0;
    std::vector<StateBlock> blocks_;
    ReadAhead ahead_{chunks_};                          // of the blocks
    std::unordered_map<std::uint64_t, Place> folders_;  // where each begins
    std::map<std::size_t, std::shared_ptr<const std::vector<StateRow>>> loaded_;
    std::set<std::size_t> lost_;
    // the folder begun
    std::uint64_t folder_ = 0;
    bool in_folder_ = false;
    Place next_;                                                    // the row expected
    std::optional<std::unordered_map<std::uint64_t, Place>> rest_;  // rows of the folder, once the order was broken
};

std::vector<ChunkId> parse_state_pieces(ByteView bytes);
// Every chunk that a state consists of.
std::vector<ChunkId> state_chunks(ChunkReader& chunks, const ChunkId& root);
std::vector<StateRow> parse_state_block(ByteView bytes);
std::pair<std::uint64_t, std::vector<StateBlock>> parse_state_root(ByteView bytes);

}  // namespace holdfast::repo
