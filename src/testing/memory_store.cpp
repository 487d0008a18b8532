#include "testing/memory_store.h"

#include <algorithm>

namespace holdfast {

namespace {

Bytes copy_of(ByteView bytes) {
    Bytes copy(bytes.size());
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    return copy;
}

}  // namespace

Created MemoryStore::create(std::string_view name, ByteView bytes) {
    check_object_name(name);
    auto copy = std::make_shared<const Bytes>(copy_of(bytes));
    const std::lock_guard lock(mutex_);
    const bool is_new = objects_.try_emplace(std::string(name), Object{std::move(copy), clock_.now()}).second;
    return is_new ? Created::created : Created::exists;
}

std::optional<Bytes> MemoryStore::read(std::string_view name) {
    const auto bytes = bytes_of(name);
    if (!bytes) return std::nullopt;
    return copy_of(*bytes);
}

std::optional<Bytes> MemoryStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    const auto whole = bytes_of(name);
    if (!whole) return std::nullopt;
    if (offset >= whole->size()) return Bytes{};
    const ByteView rest = ByteView(*whole).subspan(static_cast<std::size_t>(offset));
    return copy_of(rest.first(std::min(bytes, rest.size())));
}

std::optional<ObjectInfo> MemoryStore::find(std::string_view name) {
    check_object_name(name);
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return std::nullopt;
    return ObjectInfo{found->first, found->second.bytes->size(), found->second.time};
}

void MemoryStore::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    std::vector<ObjectInfo> listing;
    {
        const std::lock_guard lock(mutex_);
        for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at)
            listing.push_back({at->first, at->second.bytes->size(), at->second.time});
    }
    for (const ObjectInfo& info : listing) each(info);
}

void MemoryStore::remove(std::string_view name) {
    check_object_name(name);
    const std::lock_guard lock(mutex_);
    if (const auto found = objects_.find(name); found != objects_.end()) objects_.erase(found);
}

MemoryStore::Objects MemoryStore::objects() const {
    const std::lock_guard lock(mutex_);
    return objects_;
}

void MemoryStore::set_objects(Objects objects) {
    const std::lock_guard lock(mutex_);
    objects_ = std::move(objects);
}

std::vector<std::string> MemoryStore::names(std::string_view prefix) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, object] : objects_)
        if (name.starts_with(prefix)) out.push_back(name);
    return out;
}

void MemoryStore::overwrite(std::string_view name, Bytes bytes) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    const Nanoseconds time = found == objects_.end() ? clock_.now() : found->second.time;
    objects_.insert_or_assign(std::string(name), Object{std::make_shared<const Bytes>(std::move(bytes)), time});
}

std::shared_ptr<const Bytes> MemoryStore::bytes_of(std::string_view name) const {
    check_object_name(name);
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    return found == objects_.end() ? nullptr : found->second.bytes;
}

}  // namespace holdfast
