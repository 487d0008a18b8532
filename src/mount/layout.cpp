#include "mount/layout.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"

namespace holdfast::mount {

namespace {

constexpr std::string_view ids = "/ids";
constexpr std::size_t id_digits = 16;

Item own_item(const std::string& path, ItemKind kind, Nanoseconds time) {
    Item out;
    out.path = path;
    out.kind = kind;
    out.mode = kind == ItemKind::symlink ? 0777 : 0755;
    out.uid = ::geteuid();
    out.gid = ::getegid();
    out.mtime_s = time / one_second;
    return out;
}

}  // namespace

std::string folder_name(std::string_view source) {
    std::string out;
    for (const char c : source) {
        if (c == '/' || c == '%')
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out;
}

Layout::Layout(repo::Repository& repository, const MountRequest& request)
    : repository_(repository), only_(request.only) {
    if (only_) {
        by_id_[""] = request.snapshots.back();
        return;
    }
    // `latest` is as elsewhere: by time, and of one time the one that was received first.
    std::vector<const repo::Snapshot*> oldest_first(request.snapshots.rbegin(), request.snapshots.rend());
    std::ranges::stable_sort(oldest_first, {}, &repo::Snapshot::time);
    const Nanoseconds newest = oldest_first.empty() ? 0 : oldest_first.back()->time;
    add_folder("/", newest);
    add_folder(std::string(ids), newest);
    add_folder("/sources", newest);
    for (const repo::Snapshot* snapshot : oldest_first) {
        const std::string id = snapshot->id.hex().substr(0, id_digits);
        by_id_[id] = snapshot;
        const std::string source = "/sources/" + folder_name(snapshot->source);
        add_folder(source, snapshot->time);
        add_link(source + "/" + rfc3339_seconds(snapshot->time), "../../ids/" + id, snapshot->time);
        add_link(source + "/latest", "../../ids/" + id, snapshot->time);
        add_link("/latest", "ids/" + id, snapshot->time);
    }
}

void Layout::add_folder(const std::string& path, Nanoseconds time) {
    own_[path] = own_item(path, ItemKind::folder, time);
}

void Layout::add_link(const std::string& path, const std::string& to, Nanoseconds time) {
    Item& item = own_[path] = own_item(path, ItemKind::symlink, time);
    item.link = to;
}

std::shared_ptr<engine::Browser> Layout::browser_of(const repo::Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find(browsers_, &snapshot, [](const auto& each) { return each.first; });
    if (at != browsers_.end()) {
        browsers_.splice(browsers_.begin(), browsers_, at);
    } else {
        browsers_.emplace_front(&snapshot, std::make_shared<engine::Browser>(repository_, snapshot));
        if (browsers_.size() > browsers_max) browsers_.pop_back();
    }
    return browsers_.front().second;
}

std::optional<Layout::Place> Layout::place(std::string_view path) {
    const repo::Snapshot* snapshot = nullptr;
    if (only_) {
        snapshot = by_id_.at("");
    } else {
        if (path.size() <= ids.size() + 1 || !path.starts_with(ids) || path[ids.size()] != '/') return std::nullopt;
        path.remove_prefix(ids.size() + 1);
        const auto at = by_id_.find(path.substr(0, path.find('/')));
        if (at == by_id_.end()) return std::nullopt;
        snapshot = at->second;
        path.remove_prefix(at->first.size());
    }
    std::shared_ptr<engine::Browser> browser = browser_of(*snapshot);
    while (path.starts_with('/')) path.remove_prefix(1);
    const std::string top = only_ && !only_->empty() ? *only_ : browser->top();
    return Place{std::move(browser), path.empty() ? top : join_path(top, path)};
}

std::optional<Node> Layout::find(std::string_view path) {
    if (const auto own = own_.find(path); own != own_.end()) return Node{own->second, nullptr};
    const auto place = this->place(path);
    if (!place) return std::nullopt;
    if (place->path.empty()) return Node{own_item("", ItemKind::folder, 0), place->browser};
    auto entry = place->browser->find(place->path);
    if (!entry) return std::nullopt;
    return Node{std::move(entry->item), place->browser};
}

void Layout::list(const Node& folder, const std::function<void(const std::string& name, const Item&)>& each) {
    const std::string& path = folder.item.path;
    if (folder.browser != nullptr) {
        folder.browser->list(path, [&](const Item& item) { each(std::string(split_path(item.path).second), item); });
        return;
    }
    if (path == ids) {
        for (const auto& [id, snapshot] : by_id_) each(id, own_item(id, ItemKind::folder, snapshot->time));
        return;
    }
    for (auto at = own_.upper_bound(path); at != own_.end() && is_within(at->first, path); ++at)
        if (split_path(at->first).first == path) each(std::string(split_path(at->first).second), at->second);
}

std::optional<repo::TreeEntry> Layout::entry(std::string_view path) {
    const auto place = this->place(path);
    if (!place) return std::nullopt;
    return place->browser->find(place->path);
}

}  // namespace holdfast::mount
