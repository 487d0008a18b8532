#include "engine/look.h"

#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "engine/browse.h"
#include "repo/chunk_reader.h"
#include "repo/tree.h"

namespace holdfast::engine {

namespace {

constexpr std::size_t read_bytes = 1024 * 1024;

std::string without_slash(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

Error no_such_path(const std::string& path, const repo::Snapshot& snapshot) {
    return Error{Code::not_found, "snapshot {} has no {}", snapshot.id.short_hex(), path}.hint(fmt::format(
        "`holdfast find '*{}*' {}` looks for it everywhere.", split_path(path).second, snapshot.id.short_hex()));
}

bool same_metadata(const Item& a, const Item& b) {
    Item with_size_of_b = a;
    with_size_of_b.size = b.size;
    return with_size_of_b == b;
}

void read_content(ChunkCache& cache, repo::TreeEntry&& entry, const std::function<void(ByteView)>& each) {
    OpenedItem item(cache, std::move(entry));
    Bytes buffer(read_bytes);
    for (std::uint64_t at = 0; const std::size_t got = item.read(at, buffer); at += got)
        each(ByteView(buffer).first(got));
}

// Two lists of extents may cut the same bytes differently; only what is read tells then.
bool same_content(ChunkCache& cache, const repo::TreeEntry& a, const repo::TreeEntry& b) {
    if (a.item.size != b.item.size) return false;
    if (a.content == b.content) return true;
    const auto hash = [&](repo::TreeEntry entry) {
        crypto::Sha256 sum;
        read_content(cache, std::move(entry), [&](ByteView bytes) { sum.update(bytes); });
        return sum.finish();
    };
    return hash(a) == hash(b);
}

}  // namespace

void list(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& asked, bool deep,
          const std::function<bool(const Item&)>& each) {
    const std::string folder = without_slash(asked);
    repo::TreeReader tree(repository.keys(), repository.chunks(), snapshot.root);
    if (folder.empty()) {
        tree.walk("", [&](repo::TreeEntry&& entry) { return each(entry.item); });
        return;
    }
    const auto there = tree.find(folder);
    if (!there) throw no_such_path(folder, snapshot);
    if (there->item.kind != ItemKind::folder) {
        each(there->item);
        return;
    }
    tree.walk(folder_key(folder) + std::string(1, '\0'), [&](repo::TreeEntry&& entry) {
        const std::string& path = entry.item.path;
        if (path == folder) return true;
        if (!is_within(path, folder)) return false;
        if (!deep && split_path(path).first != folder) return false;
        return each(entry.item);
    });
}

void find(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& pattern,
          const std::function<void(const Item&)>& each) {
    const bool by_path = pattern.find('/') != std::string::npos;
    repo::TreeReader tree(repository.keys(), repository.chunks(), snapshot.root);
    tree.walk("", [&](repo::TreeEntry&& entry) {
        const std::string& path = entry.item.path;
        if (glob_match(pattern, by_path ? std::string_view(path) : split_path(path).second)) each(entry.item);
        return true;
    });
}

std::string_view name_of(Change change) {
    switch (change) {
        case Change::added:
            return "added";
        case Change::removed:
            return "removed";
        case Change::content:
            return "content";
        case Change::metadata:
            return "metadata";
    }
    return "unknown";
}

void diff(repo::Repository& repository, const repo::Snapshot& from, const repo::Snapshot& to, const std::string& below,
          const std::function<void(const Difference&)>& each) {
    repo::TreeReader from_tree(repository.keys(), repository.chunks(), from.root);
    repo::TreeReader to_tree(repository.keys(), repository.chunks(), to.root);
    const std::vector<repo::LeafRef> from_leaves = from_tree.leaves();
    const std::vector<repo::LeafRef> to_leaves = to_tree.leaves();
    std::unordered_set<repo::ChunkId, IdHash> from_ids, to_ids;
    for (const auto& leaf : from_leaves) from_ids.insert(leaf.id);
    for (const auto& leaf : to_leaves) to_ids.insert(leaf.id);

    // An item lies in one leaf of a tree; one in a leaf that both have is the same in both.
    class Side {
    public:
        Side(repo::TreeReader& tree, const std::vector<repo::LeafRef>& leaves,
             const std::unordered_set<repo::ChunkId, IdHash>& shared)
            : tree_(tree), leaves_(leaves), shared_(shared) {
            advance();
        }
        bool done() const { return at_ >= entries_.size() && leaf_ >= leaves_.size(); }
        const repo::TreeEntry& entry() const { return entries_[at_]; }
        const std::string& key() const { return key_; }
        void next() {
            ++at_;
            advance();
        }

    private:
        void advance() {
            while (at_ >= entries_.size() && leaf_ < leaves_.size()) {
                const repo::LeafRef& leaf = leaves_[leaf_++];
                if (shared_.contains(leaf.id)) continue;
                entries_ = tree_.read_leaf(leaf.id);
                at_ = 0;
            }
            if (at_ < entries_.size()) key_ = tree_key(entries_[at_].item.path);
        }
        repo::TreeReader& tree_;
        const std::vector<repo::LeafRef>& leaves_;
        const std::unordered_set<repo::ChunkId, IdHash>& shared_;
        std::vector<repo::TreeEntry> entries_;
        std::size_t leaf_ = 0, at_ = 0;
        std::string key_;
    };
    const std::string folder = without_slash(below);
    const auto tell = [&](const std::string& path, Change change) {
        if (is_within(path, folder)) each({path, change});
    };
    ChunkCache cache(repository);
    Side a(from_tree, from_leaves, to_ids), b(to_tree, to_leaves, from_ids);
    while (!a.done() || !b.done()) {
        if (b.done() || (!a.done() && a.key() < b.key())) {
            tell(a.entry().item.path, Change::removed);
            a.next();
        } else if (a.done() || b.key() < a.key()) {
            tell(b.entry().item.path, Change::added);
            b.next();
        } else {
            const bool wanted = is_within(a.entry().item.path, folder);
            if (wanted && (a.entry().item.kind != b.entry().item.kind || !same_content(cache, a.entry(), b.entry())))
                tell(a.entry().item.path, Change::content);
            else if (!same_metadata(a.entry().item, b.entry().item))
                tell(a.entry().item.path, Change::metadata);
            a.next();
            b.next();
        }
    }
}

void dump(repo::Repository& repository, const repo::Snapshot& snapshot, const std::string& path,
          const std::function<void(ByteView)>& write) {
    repo::TreeReader tree(repository.keys(), repository.chunks(), snapshot.root);
    std::optional<repo::TreeEntry> wanted;
    if (!path.empty()) {
        wanted = tree.find(without_slash(path));
        if (!wanted) throw no_such_path(path, snapshot);
        if (wanted->item.kind == ItemKind::folder)
            throw Error{Code::usage, "{} is a folder; dump gives back one file's bytes", path}.hint(
                "Use `holdfast restore SNAPSHOT:PATH --to FOLDER`.");
        if (wanted->item.kind != ItemKind::file)
            throw Error{Code::usage, "{} has no content: it is a {}", path, name_of(wanted->item.kind)};
    } else {
        tree.walk("", [&](repo::TreeEntry&& entry) {
            if (entry.item.kind != ItemKind::file) return true;
            if (wanted)
                throw Error{Code::usage, "snapshot {} holds more than one file", snapshot.id.short_hex()}.hint(
                    "Name one: `holdfast dump SNAPSHOT:PATH`.");
            wanted = std::move(entry);
            return true;
        });
        if (!wanted) throw Error{Code::not_found, "snapshot {} holds no file", snapshot.id.short_hex()};
    }
    ChunkCache cache(repository);
    read_content(cache, std::move(*wanted), [&](ByteView bytes) {
        repository.world().stop.check();
        write(bytes);
    });
}

Stats stats(repo::Repository& repository) {
    Stats out;
    out.snapshots = repository.snapshots().size();
    for (const repo::Snapshot& snapshot : repository.snapshots()) out.bytes_logical += snapshot.bytes.logical;
    std::unordered_set<repo::PackId, IdHash> packs;
    std::unordered_set<repo::ChunkPrefix, IdHash> chunks;
    for (const auto& fragment : repository.index().fragments()) {
        for (const auto& pack : fragment->packs())
            if (!repository.index().excluded().contains(pack.ref.id)) packs.insert(pack.ref.id);
        fragment->scan([&](const repo::ChunkPrefix& id, const repo::Location& place) {
            if (!repository.index().excluded().contains(place.pack.id) && chunks.insert(id).second)
                out.bytes_unique += place.length;
        });
    }
    out.packs = packs.size();
    out.chunks = chunks.size();
    repository.store().list("", [&](const ObjectInfo& object) { out.bytes_stored += object.bytes; });
    return out;
}

}  // namespace holdfast::engine
