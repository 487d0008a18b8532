// source/fd_cache.h: keeps a bounded number of descriptors open; those used longest ago are closed first.
//
// Shape    whoever can open his descriptor again owns a Slot; a Pin keeps the descriptor open while it is in
//          use
// Threads  everything may be called from any thread; a Slot's owner drops it before it goes
// Limits   at most open_max descriptors, and those that are pinned
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include "base/file.h"

namespace holdfast {

class FdCache {
public:
    using Pin = std::shared_ptr<Fd>;

    class Slot {
    public:
        Slot() = default;
        Slot(const Slot&) = delete;
        Slot& operator=(const Slot&) = delete;

    private:
        friend class FdCache;
        // guarded by the cache's mutex
        Pin fd_;
        std::list<Slot*>::iterator place_;
    };

    explicit FdCache(std::size_t open_max) : open_max_(open_max) {}

    Pin find(Slot& slot);        // nothing when it is closed
    Pin put(Slot& slot, Fd fd);  // replaces what the slot had
    Pin drop(Slot& slot);        // takes it out; it closes with the last pin
    void clear();                // for the moment when the process has no descriptor left
    std::size_t size() const;

private:
    Pin take_out(Slot& slot);

    const std::size_t open_max_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::list<Slot*> recent_;  // first: used last
    std::list<Slot*> spare_;   // list nodes to use again
};

}  // namespace holdfast
