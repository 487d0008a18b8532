// source/folder.h: a folder below a base, held by name and opened when it is needed, so that neither the
// number of descriptors nor PATH_MAX limits how many folders are in hand or how deep they lie.
//
// Shape    each Folder knows its parent; opening walks down from the nearest one that is open
// Errors   open() gives the errno: what it means depends on who asks
// Threads  everything may be called from any thread
// Limits   a symlink is never followed, except by a Folder made with Follow::yes
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "source/fd_cache.h"

namespace holdfast {

class Folder {
    struct Key {};

public:
    using Pointer = std::shared_ptr<Folder>;
    enum class Access : std::uint8_t {
        read,      // may be listed
        traverse,  // O_PATH: only to reach what is in it, needs no right to list
        follow,    // as traverse, and a symlink is followed: for folders that the user named
    };

    // The base stays open; `path` is its name in messages.
    static Pointer base(std::shared_ptr<FdCache> cache, Fd fd, std::string path);
    static Pointer below(Pointer parent, std::string name, Access access = Access::read);
    Folder(Key, std::shared_ptr<FdCache> cache, Pointer parent, std::string name, Access access, Fd base);
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    struct Open {
        FdCache::Pin fd;
        int error = 0;  // an errno when there is no fd
        int get() const { return fd->get(); }
        explicit operator bool() const { return fd != nullptr; }
    };
    Open open();
    void close() { cache_->drop(slot_); }
    FdCache& cache() const { return *cache_; }

    const Pointer& parent() const { return parent_; }
    const std::string& name() const { return name_; }
    std::string path() const;
    std::string path_of(std::string_view name) const;

private:
    int flags() const;

    const std::shared_ptr<FdCache> cache_;
    Pointer parent_;
    const std::string name_;
    const Access access_;
    const FdCache::Pin base_;
    FdCache::Slot slot_;
};

struct OpenedFd {
    Fd fd;
    int error = 0;  // an errno when there is no fd
    explicit operator bool() const { return static_cast<bool>(fd); }
};
// openat(2) with O_CLOEXEC, without changing access times where that is allowed, tried again after EINTR and,
// once the cache has let go of what it holds, after EMFILE.
OpenedFd open_in(FdCache& cache, int folder, const char* name, int flags, unsigned mode = 0);

}  // namespace holdfast
