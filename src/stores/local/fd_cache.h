// stores/local/fd_cache.h: the most recently used open descriptors of files and folders, by path.
//
// Threads  all members from any thread; a descriptor stays open while somebody holds it
// Limits   fds_max descriptors, not counting those that only callers still hold
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/file.h"

namespace holdfast {

using SharedFd = std::shared_ptr<const Fd>;

class OpenObjects {
public:
    explicit OpenObjects(std::size_t fds_max) : fds_max_(fds_max) {}

    SharedFd find(std::string_view path) {
        const std::lock_guard lock(mutex_);
        const auto found = places_.find(path);
        if (found == places_.end()) return nullptr;
        newest_first_.splice(newest_first_.begin(), newest_first_, found->second);
        return found->second->second;
    }
    SharedFd add(std::string_view path, Fd fd) {
        auto shared = std::make_shared<const Fd>(std::move(fd));
        const std::lock_guard lock(mutex_);
        drop(path);
        newest_first_.emplace_front(path, shared);
        places_.emplace(newest_first_.front().first, newest_first_.begin());
        if (newest_first_.size() > fds_max_) drop(newest_first_.back().first);
        return shared;
    }
    void erase(std::string_view path) {
        const std::lock_guard lock(mutex_);
        drop(path);
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        places_.clear();
        newest_first_.clear();
    }

private:
    using Entries = std::list<std::pair<const std::string, SharedFd>>;

    void drop(std::string_view path) {
        const auto found = places_.find(path);
        if (found == places_.end()) return;
        const auto entry = found->second;
        places_.erase(found);  // before the entry: its key is a view of the entry's path
        newest_first_.erase(entry);
    }

    const std::size_t fds_max_;
    std::mutex mutex_;
    // guarded by mutex_
    Entries newest_first_;
    std::unordered_map<std::string_view, Entries::iterator> places_;
};

}  // namespace holdfast
