// engine/check_trees.h: walks the trees of snapshots: every node once, however many snapshots share it.
//
// Shape    a node's findings are kept with it, so a snapshot's loss is the sum over its root
// Errors   damage goes to CheckFindings; unreachable
// Threads  members from one thread; leaves are read by workers
// Limits   about 200 bytes a node
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "base/workers.h"
#include "engine/check_places.h"
#include "repo/tree.h"

namespace holdfast::engine {

class CheckTrees {
public:
    CheckTrees(repo::Repository& repository, CheckPlaces& places, CheckFindings& findings, Progress& progress);
    void check(const repo::Snapshot& snapshot);
    void check_state(const repo::Snapshot& snapshot);

private:
    struct Seen {
        std::uint64_t items = 0;
        std::string first_key;
        std::string last_key;
        bool inner = false;  // only said by look_at(): its children are still to be visited
        std::vector<Loss> losses;
    };
    const Seen& visit(const repo::LeafRef& ref, int depth);
    Seen look_at(const repo::LeafRef& ref, repo::Node& node);
    Seen look_at_leaf(const repo::LeafRef& ref, const repo::Node& node);
    void visit_children(const repo::LeafRef& ref, const repo::Node& node, Seen& seen, int depth);
    std::vector<std::optional<Seen>> look_at_leaves(const std::vector<repo::LeafRef>& children);
    Seen lost(const repo::LeafRef& ref, const std::string& reason);
    std::optional<DamageNumber> damage_of(const repo::TreeEntry& entry, const repo::LeafRef& leaf,
                                          std::unordered_map<repo::ChunkId, CheckPlaces::Fact, IdHash>& facts);

    repo::Repository& repository_;
    CheckPlaces& places_;
    CheckFindings& findings_;
    Progress& progress_;
    std::unordered_map<repo::ChunkPrefix, Seen, IdHash> seen_;
    std::unordered_set<repo::ChunkPrefix, IdHash> state_seen_;
    Workers workers_;
};

}  // namespace holdfast::engine
