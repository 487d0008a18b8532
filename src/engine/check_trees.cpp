#include "engine/check_trees.h"

#include <algorithm>

#include "base/error.h"
#include "repo/state.h"
#include "store/read_many.h"

namespace holdfast::engine {

namespace {

constexpr int depth_max = 16;

// What may be said of bytes, as opposed to the store or the user.
bool is_damage(const Error& error) { return error.code() == Code::corrupt; }

// The part for collectors must name what the part for readers uses, or a collection takes what a restore needs.
void check_parts_agree(const repo::Node& leaf, const std::vector<repo::TreeEntry>& entries) {
    std::unordered_set<repo::ChunkId, IdHash> used;
    for (const repo::TreeEntry& entry : entries)
        for (const repo::Extent& extent : entry.content)
            if (!extent.is_hole()) used.insert(extent.chunk);
    for (const repo::Child& child : repo::parse_children(leaf.reachable))
        if (child.kind == repo::ChildKind::node || (child.kind == repo::ChildKind::chunk && !used.contains(child.id)))
            throw Error{Code::corrupt, "it reaches {}, which none of its items uses", child.id.short_hex()};
}

}  // namespace

CheckTrees::CheckTrees(repo::Repository& repository, CheckPlaces& places, CheckFindings& findings, Progress& progress)
    : repository_(repository),
      places_(places),
      findings_(findings),
      progress_(progress),
      workers_(readers_of(repository.store()), 64) {}

void CheckTrees::check(const repo::Snapshot& snapshot) {
    const Seen& root = visit({snapshot.root, "", snapshot.items}, 0);
    for (const Loss& loss : root.losses) findings_.costs(loss, snapshot);
    if (root.losses.empty() && root.items != snapshot.items)
        findings_.add(fmt::format("snapshot {}", snapshot.id.hex()), "forged",
                      fmt::format("its record says {} items, its tree has {}", snapshot.items, root.items), "");
    for (const repo::ChunkId& piece : snapshot.facts) {
        try {
            repository_.chunks().read(piece);
        } catch (const Error& error) {
            if (!is_damage(error)) throw;
            findings_.costs({places_.blame(piece, error.message()), 1, {"its facts"}}, snapshot);
        }
    }
}

// An item count of a node that cannot be read comes from its parent.
CheckTrees::Seen CheckTrees::lost(const repo::LeafRef& ref, const std::string& reason) {
    Seen out{ref.items, ref.first_key, ref.first_key, false, {}};
    out.losses.push_back(
        {places_.blame(ref.id, reason),
         ref.items,
         {ref.first_key.empty() ? "everything" : path_of_tree_key(ref.first_key) + " and what follows it"}});
    return out;
}

const CheckTrees::Seen& CheckTrees::visit(const repo::LeafRef& ref, int depth) {
    const repo::ChunkPrefix key = repo::prefix_of(ref.id);
    if (const auto have = seen_.find(key); have != seen_.end()) return have->second;
    repository_.world().stop.check();
    repo::Node node;
    Seen seen = look_at(ref, node);
    if (seen.inner) {
        try {
            if (depth > depth_max) throw Error{Code::corrupt, "a tree is deeper than {} levels", depth_max};
            visit_children(ref, node, seen, depth);
        } catch (const Error& error) {
            if (!is_damage(error)) throw;
            seen = lost(ref, error.message());
        }
    }
    return seen_.emplace(key, std::move(seen)).first->second;
}

CheckTrees::Seen CheckTrees::look_at(const repo::LeafRef& ref, repo::Node& node) {
    try {
        node = repository_.chunks().read_node(ref.id);
        if (node.reachable.empty() || node.content.empty() || node.reachable[0] != node.content[0])
            throw Error{Code::corrupt, "the two parts of node {} are of different kinds", ref.id.short_hex()};
        if (repo::TreeReader::is_leaf(node)) return look_at_leaf(ref, node);
        Seen inner;
        inner.inner = true;
        return inner;
    } catch (const Error& error) {
        if (!is_damage(error)) throw;
        return lost(ref, error.message());
    }
}

CheckTrees::Seen CheckTrees::look_at_leaf(const repo::LeafRef& ref, const repo::Node& node) {
    repo::TreeReader tree(repository_.keys(), repository_.chunks(), ref.id);
    const std::vector<repo::TreeEntry> entries = tree.entries_of(node);
    check_parts_agree(node, entries);
    Seen seen;
    seen.items = entries.size();
    std::unordered_map<repo::ChunkId, CheckPlaces::Fact, IdHash> facts;
    for (const repo::TreeEntry& entry : entries) {
        std::string key = tree_key(entry.item.path);
        if (seen.last_key.empty())
            seen.first_key = key;
        else if (key <= seen.last_key)
            throw Error{Code::corrupt, "{} is not in its place in the tree", entry.item.path};
        seen.last_key = std::move(key);
        if (const auto damage = damage_of(entry, ref, facts)) add_loss(seen.losses, {*damage, 1, {entry.item.path}});
    }
    progress_.items += entries.size();
    return seen;
}

std::optional<DamageNumber> CheckTrees::damage_of(const repo::TreeEntry& entry, const repo::LeafRef& leaf,
                                                  std::unordered_map<repo::ChunkId, CheckPlaces::Fact, IdHash>& facts) {
    std::uint64_t size = 0;
    for (const repo::Extent& extent : entry.content) {
        size += extent.length;
        if (extent.is_hole()) continue;
        const auto [at, fresh] = facts.try_emplace(extent.chunk);
        if (fresh) at->second = places_.fact(extent.chunk);
        if (at->second.damage) return at->second.damage;
        if (at->second.length != 0 && extent.offset + extent.length > at->second.length)
            return places_.blame(leaf.id,
                                 fmt::format("{} refers to bytes that its chunk does not have", entry.item.path));
    }
    if (entry.item.kind == ItemKind::file && size != entry.item.size)
        return places_.blame(
            leaf.id, fmt::format("{} is said to have {} bytes, {} are there", entry.item.path, entry.item.size, size));
    return std::nullopt;
}

std::vector<std::optional<CheckTrees::Seen>> CheckTrees::look_at_leaves(const std::vector<repo::LeafRef>& children) {
    std::vector<std::optional<Seen>> out(children.size());
    for (std::size_t i = 0; i < children.size(); ++i) {
        if (seen_.contains(repo::prefix_of(children[i].id))) continue;
        workers_.submit([this, &out, &children, i] {
            repo::Node node;
            out[i] = look_at(children[i], node);
        });
    }
    workers_.drain();
    return out;
}

void CheckTrees::visit_children(const repo::LeafRef& ref, const repo::Node& node, Seen& seen, int depth) {
    const std::vector<repo::LeafRef> children = repo::TreeReader::children_of(node);
    // All children are of one level, and the first new one tells which: leaves are looked at in parallel.
    const auto first_new =
        std::ranges::find_if(children, [&](const auto& child) { return !seen_.contains(repo::prefix_of(child.id)); });
    if (first_new != children.end()) {
        visit(*first_new, depth + 1);
        if (!seen_.at(repo::prefix_of(first_new->id)).inner) {
            std::vector<std::optional<Seen>> leaves = look_at_leaves(children);
            for (std::size_t i = 0; i < children.size(); ++i)
                if (leaves[i] && !leaves[i]->inner)
                    seen_.emplace(repo::prefix_of(children[i].id), std::move(*leaves[i]));
        }
    }
    seen.first_key = children.front().first_key;
    for (const repo::LeafRef& child : children) {
        const Seen& below = visit(child, depth + 1);
        if (below.first_key != child.first_key || below.items != child.items)
            throw Error{Code::corrupt, "node {} says of {} what is not so", ref.id.short_hex(), child.id.short_hex()};
        if (child.first_key <= seen.last_key && !seen.last_key.empty())
            throw Error{Code::corrupt, "the children of node {} are not in order", ref.id.short_hex()};
        seen.items += below.items;
        seen.last_key = below.last_key;
        for (const Loss& loss : below.losses) add_loss(seen.losses, loss);
    }
    seen.inner = true;
}

// State is a convenience of the next backup: damage costs time only.
void CheckTrees::check_state(const repo::Snapshot& snapshot) {
    const auto blame = [&](const repo::ChunkId& id, const Error& error) {
        if (!is_damage(error)) throw error;
        findings_.costs_only_time(places_.blame(id, error.message()), snapshot.source);
    };
    std::vector<repo::ChunkId> chunks;
    if (!state_seen_.insert(repo::prefix_of(snapshot.state)).second) return;
    repo::ChunkId at = snapshot.state;
    try {
        Bytes whole;
        for (const repo::ChunkId& piece : repo::parse_state_pieces(repository_.chunks().read_state(at))) {
            at = piece;
            const Bytes part = repository_.chunks().read_state(piece);
            whole.insert(whole.end(), part.begin(), part.end());
        }
        for (const repo::StateBlock& block : repo::parse_state_root(whole).second)
            if (state_seen_.insert(repo::prefix_of(block.id)).second) chunks.push_back(block.id);
    } catch (const Error& error) {
        return blame(at, error);
    }
    for (const repo::ChunkId& id : chunks)
        workers_.submit([this, &blame, id] {
            try {
                repo::parse_state_block(repository_.chunks().read_state(id));
            } catch (const Error& error) {
                blame(id, error);
            }
        });
    workers_.drain();
}

}  // namespace holdfast::engine
