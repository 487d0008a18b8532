// mount/layout.h: which path of the file system is which item of which snapshot.
//
// Errors   what reading a tree throws
// Threads  every member from any thread
// Limits   browsers_max snapshots' trees stay open, beside those that are in use
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "mount/mount.h"

namespace holdfast::mount {

struct Node {
    Item item;  // its path is that in the snapshot; for what no snapshot holds, the one here
    std::shared_ptr<engine::Browser> browser = nullptr;  // null: a folder or link that only this file system has
};

class Layout {
public:
    static constexpr std::size_t browsers_max = 8;

    Layout(repo::Repository& repository, const MountRequest& request);

    std::optional<Node> find(std::string_view path);
    void list(const Node& folder, const std::function<void(const std::string& name, const Item&)>& each);
    // A file with its extents.
    std::optional<repo::TreeEntry> entry(std::string_view path);

private:
    struct Place {
        std::shared_ptr<engine::Browser> browser;
        std::string path;  // in the snapshot
    };
    std::optional<Place> place(std::string_view path);
    std::shared_ptr<engine::Browser> browser_of(const repo::Snapshot& snapshot);
    void add_folder(const std::string& path, Nanoseconds time);
    void add_link(const std::string& path, const std::string& to, Nanoseconds time);

    repo::Repository& repository_;
    std::optional<std::string> only_;
    std::map<std::string, const repo::Snapshot*, std::less<>> by_id_;
    std::map<std::string, Item, std::less<>> own_;  // "/sources/orders/latest"
    std::mutex mutex_;
    // guarded by mutex_
    std::list<std::pair<const repo::Snapshot*, std::shared_ptr<engine::Browser>>> browsers_;  // newest use first
};

}  // namespace holdfast::mount
