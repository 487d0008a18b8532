#include "engine/copy_tree.h"

#include <algorithm>

#include "base/error.h"
#include "store/read_many.h"

namespace holdfast::engine {

bool same_shape(const repo::TreeEntry& a, const repo::TreeEntry& b) {
    return a.item.path == b.item.path &&
           std::ranges::equal(a.content, b.content, [](const repo::Extent& x, const repo::Extent& y) {
               return x.is_hole() == y.is_hole() && x.offset == y.offset && x.length == y.length;
           });
}

TreeItems::TreeItems(repo::Repository& repository, const repo::Snapshot& snapshot)
    : tree_(repository.keys(), repository.chunks(), snapshot.root), leaves_(tree_.leaves()) {}

const repo::TreeEntry* TreeItems::next() {
    while (at_ == entries_.size()) {
        if (leaf_ == leaves_.size()) return nullptr;
        entries_ = tree_.read_leaf(leaves_[leaf_++].id);
        at_ = 0;
    }
    return &entries_[at_++];
}

void ChunkNames::put(const repo::ChunkId& origin, const repo::ChunkId& name) {
    if (full()) names_.clear();
    names_.insert_or_assign(origin, name);
}

std::optional<repo::ChunkId> ChunkNames::find(const repo::ChunkId& origin) const {
    const auto at = names_.find(origin);
    if (at == names_.end()) return std::nullopt;
    return at->second;
}

void ChunkNames::learn(repo::Repository& from, const repo::Snapshot& origin, repo::Repository& to,
                       const repo::Snapshot& copy) {
    TreeItems there(to, copy);
    for (TreeItems here(from, origin); const repo::TreeEntry* entry = here.next();) {
        const repo::TreeEntry* twin = there.next();
        if (twin == nullptr || !same_shape(*entry, *twin) || full()) return;
        for (std::size_t i = 0; i < entry->content.size(); ++i)
            if (!entry->content[i].is_hole()) put(entry->content[i].chunk, twin->content[i].chunk);
    }
}

TreeCopy::TreeCopy(repo::Repository& from, repo::Repository& to, repo::Session& session, ChunkNames& names,
                   Progress& progress)
    : from_(from),
      to_(to),
      session_(session),
      names_(names),
      progress_(progress),
      tree_(to.keys(), session.packs()),
      workers_(readers_of(from.store()), streams_at_once) {}

repo::ChunkId TreeCopy::copy(const repo::Snapshot& snapshot) {
    repo::TreeReader origin(from_.keys(), from_.chunks(), snapshot.root);
    origin.walk("", [&](repo::TreeEntry&& entry) {
        add(std::move(entry));
        return true;
    });
    write_window();
    workers_.finish();
    return tree_.finish();
}

void TreeCopy::add(repo::TreeEntry&& entry) {
    for (const repo::Extent& extent : entry.content) {
        if (extent.is_hole()) continue;
        const auto [at, fresh] = settled_.try_emplace(extent.chunk);
        if (!fresh) continue;
        const auto name = names_.find(extent.chunk);
        // A collection may have taken it since: only this session's view of the target counts.
        if (name && session_.packs().knows(*name)) {
            at->second = *name;
        } else {
            to_read_.push_back(extent.chunk);
            bytes_to_read_ += extent.length;
        }
    }
    window_.push_back(std::move(entry));
    if (window_.size() >= window_items || bytes_to_read_ >= window_bytes) write_window();
}

void TreeCopy::write_window() {
    from_.world().stop.check();
    read_chunks();
    for (repo::TreeEntry& entry : window_) {
        for (repo::Extent& extent : entry.content)
            if (!extent.is_hole()) extent.chunk = settled_.at(extent.chunk);
        ++progress_.items;
        progress_.bytes += entry.item.size;
        tree_.add(entry);
    }
    window_.clear();
    settled_.clear();
    session_.publish_if_due();
}

void TreeCopy::read_chunks() {
    std::vector<repo::ChunkId> named(to_read_.size());
    const std::vector<repo::ReadRun> runs = from_.chunks().plan(to_read_);
    for (const repo::ReadRun& run : runs)
        workers_.submit([&] {
            from_.world().stop.check();
            from_.chunks().read_run(
                run, to_read_,
                [&](std::size_t number, ByteView plain) { named[number] = session_.packs().add(plain).id; },
                [](std::size_t, const Error& error) { throw error; });
        });
    workers_.drain();
    for (std::size_t number = 0; number < to_read_.size(); ++number) {
        // What no pack has fails here, and says so.
        if (named[number].is_zero()) named[number] = session_.packs().add(from_.chunks().read(to_read_[number])).id;
        settled_.at(to_read_[number]) = named[number];
        names_.put(to_read_[number], named[number]);
    }
    to_read_.clear();
    bytes_to_read_ = 0;
}

}  // namespace holdfast::engine
