#include "engine/browse.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "store/read_many.h"

namespace holdfast::engine {

ChunkCache::ChunkCache(repo::Repository& repository, std::size_t bytes_max)
    : repository_(repository), bytes_max_(bytes_max), workers_(readers_of(repository.store()), 64) {}
ChunkCache::~ChunkCache() = default;

std::shared_ptr<ChunkCache::Slot> ChunkCache::read(const repo::ChunkId& id, std::shared_ptr<Slot> slot) {
    Plain plain;
    std::exception_ptr failure;
    try {
        plain = std::make_shared<const Bytes>(repository_.chunks().read(id));
    } catch (...) {
        failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    if (failure) {
        slot->failure = failure;
        slots_.erase(id);  // the next one tries again
    } else {
        slot->plain = plain;
        slot->age = ages_.insert(ages_.begin(), id);
        bytes_ += plain->size();
        make_room();
    }
    arrived_.notify_all();
    return slot;
}

void ChunkCache::make_room() {
    while (bytes_ > bytes_max_ && ages_.size() > 1) {
        const auto oldest = slots_.find(ages_.back());
        bytes_ -= oldest->second->plain->size();
        slots_.erase(oldest);
        ages_.pop_back();
    }
}

ChunkCache::Plain ChunkCache::get(const repo::ChunkId& id) {
    std::shared_ptr<Slot> slot;
    bool mine = false;
    {
        std::unique_lock lock(mutex_);
        auto& there = slots_[id];
        mine = !there;
        if (mine) there = std::make_shared<Slot>();
        slot = there;
        if (!mine) {
            arrived_.wait(lock, [&] { return slot->plain || slot->failure; });
            // It may have made room meanwhile, also for a slot of the same chunk.
            const auto at = slots_.find(id);
            if (slot->plain && at != slots_.end() && at->second == slot) ages_.splice(ages_.begin(), ages_, slot->age);
        }
    }
    if (mine) slot = read(id, slot);
    if (slot->failure) std::rethrow_exception(slot->failure);
    return slot->plain;
}

void ChunkCache::fetch_ahead(const repo::ChunkId& id) {
    std::shared_ptr<Slot> slot;
    {
        const std::lock_guard lock(mutex_);
        auto& there = slots_[id];
        if (there) return;
        slot = there = std::make_shared<Slot>();
    }
    workers_.submit([this, id, slot] { read(id, slot); });
}

OpenedItem::OpenedItem(ChunkCache& cache, repo::TreeEntry entry) : cache_(cache), entry_(std::move(entry)) {
    std::uint64_t at = 0;
    begins_.reserve(entry_.content.size());
    for (const repo::Extent& extent : entry_.content) {
        begins_.push_back(at);
        at += extent.length;
    }
}

std::size_t OpenedItem::read(std::uint64_t offset, MutableByteView into) {
    if (offset >= entry_.item.size || begins_.empty()) return 0;
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), entry_.item.size - offset));
    auto number = static_cast<std::size_t>(std::ranges::upper_bound(begins_, offset) - begins_.begin()) - 1;
    if (goes_on(offset, wanted)) fetch_ahead(number, offset);
    std::size_t done = 0;
    for (; done < wanted && number < begins_.size(); ++number) {
        const repo::Extent& extent = entry_.content[number];
        const std::uint64_t inside = offset + done - begins_[number];
        const std::size_t now =
            static_cast<std::size_t>(std::min<std::uint64_t>(wanted - done, extent.length - inside));
        if (extent.is_hole()) {
            std::memset(into.data() + done, 0, now);
        } else {
            const ChunkCache::Plain plain = cache_.get(extent.chunk);
            if (extent.offset + extent.length > plain->size())
                throw Error{Code::corrupt, "{} refers to bytes that its chunk does not have", entry_.item.path};
            std::memcpy(into.data() + done, plain->data() + extent.offset + inside, now);
        }
        done += now;
    }
    return done;
}

// Several readers serve one sequential read, and pass each other.
bool OpenedItem::goes_on(std::uint64_t offset, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const bool near = offset <= next_ + near_bytes && next_ <= offset + near_bytes;
    next_ = near ? std::max(next_, offset + bytes) : offset + bytes;
    if (!near) ahead_to_ = 0;
    return near;
}

void OpenedItem::fetch_ahead(std::size_t extent, std::uint64_t offset) {
    std::size_t from, to;
    {
        const std::lock_guard lock(mutex_);
        from = std::max(extent, ahead_to_);
        to = static_cast<std::size_t>(std::ranges::lower_bound(begins_, offset + ahead_bytes) - begins_.begin());
        ahead_to_ = std::max(ahead_to_, to);
    }
    const repo::ChunkId* last = nullptr;
    for (; from < to; ++from) {
        const repo::Extent& each = entry_.content[from];
        if (each.is_hole() || (last != nullptr && each.chunk == *last)) continue;
        last = &each.chunk;
        cache_.fetch_ahead(each.chunk);
    }
}

Browser::Browser(repo::Repository& repository, const repo::Snapshot& snapshot)
    : repository_(repository),
      leaves_(repo::TreeReader(repository.keys(), repository.chunks(), snapshot.root).leaves()) {
    if (const auto first = leaf(0); !first->empty() && first->front().item.path.starts_with('/')) top_ = "/";
}

// The last leaf that does not begin behind the key.
std::size_t Browser::leaf_with(const std::string& key) const {
    const auto after = std::ranges::upper_bound(leaves_, key, {}, &repo::LeafRef::first_key);
    return after == leaves_.begin() ? 0 : static_cast<std::size_t>(after - leaves_.begin()) - 1;
}

std::shared_ptr<const Browser::Leaf> Browser::leaf(std::size_t number) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto there = read_.find(number); there != read_.end()) return there->second;
    }
    repo::TreeReader tree(repository_.keys(), repository_.chunks(), leaves_.at(number).id);
    auto out = std::make_shared<const Leaf>(tree.read_leaf(leaves_[number].id));
    const std::lock_guard lock(mutex_);
    if (read_.emplace(number, out).second) ages_.push_front(number);
    if (ages_.size() > leaves_max) {
        read_.erase(ages_.back());
        ages_.pop_back();
    }
    return out;
}

std::optional<repo::TreeEntry> Browser::find(const std::string& path) {
    const std::string key = tree_key(path);
    const auto entries = leaf(leaf_with(key));
    const auto at =
        std::ranges::lower_bound(*entries, key, {}, [](const auto& entry) { return tree_key(entry.item.path); });
    if (at == entries->end() || at->item.path != path) return std::nullopt;
    return *at;
}

void Browser::list(const std::string& folder, const std::function<void(const Item&)>& each) {
    const std::string from = folder.empty() ? std::string() : folder_key(folder) + std::string(1, '\0');
    for (std::size_t number = leaf_with(from); number < leaves_.size(); ++number) {
        const auto entries = leaf(number);
        auto at =
            std::ranges::lower_bound(*entries, from, {}, [](const auto& entry) { return tree_key(entry.item.path); });
        for (; at != entries->end(); ++at) {
            if (at->item.path == folder) continue;
            if (split_path(at->item.path).first != folder) return;
            each(at->item);
        }
    }
}

}  // namespace holdfast::engine
