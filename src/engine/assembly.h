// engine/assembly.h: puts finished items into tree and state, in order; unchanged leaves are taken over whole.
//
// Threads  one thread
// I1  an earlier leaf is reused only when all of its items are unchanged, in their order, and nothing lies between
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/contents.h"
#include "repo/state.h"

namespace holdfast::engine {

struct Totals {
    std::uint64_t items = 0;
    std::uint64_t unchanged = 0;
    std::uint64_t failed = 0;
    std::uint64_t bytes_logical = 0;
    std::vector<Finding> findings;
};

class Assembly {
public:
    Assembly(Capture& capture, const repo::Keyring& keys, repo::PackWriter& packs, const repo::StateReader* previous,
             bool may_reuse_leaves);

    // A job that is done; its item and content are taken.
    void add(ItemJob& job);
    // An item that is as it was: `row` is of the state before.
    void add_unchanged(const std::shared_ptr<const Batch>& batch, std::size_t number,
                       const repo::StateReader::Found& row);

    struct Roots {
        repo::ChunkId tree;
        repo::ChunkId state;
    };
    Roots finish(std::uint64_t gc_number);
    Totals& totals() { return totals_; }

private:
    struct Unchanged {
        std::shared_ptr<const Batch> batch;
        std::size_t number;
        repo::StateReader::Found row;
    };
    void write(const repo::TreeEntry& entry, std::string_view version);
    void write_unchanged(const Unchanged& item);
    void give_up_run();
    bool run_is_whole() const;
    void reuse_run();

    Capture& capture_;
    const repo::Keyring& keys_;
    const repo::StateReader* previous_;
    const bool may_reuse_leaves_;
    repo::TreeWriter tree_;
    repo::StateWriter state_;
    std::vector<Unchanged> run_;  // the first rows of one earlier leaf, all unchanged so far
    Totals totals_;
};

}  // namespace holdfast::engine
