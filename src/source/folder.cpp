#include "source/folder.h"

#include <fcntl.h>

#include <cerrno>
#include <vector>

#include "base/item.h"
#include "source/release_chain.h"

namespace holdfast {

OpenedFd open_in(FdCache& cache, int folder, const char* name, int flags, unsigned mode) {
    // O_NOATIME means nothing with O_PATH and for new files, and is refused for files of others.
    int extra = O_CLOEXEC | ((flags & (O_PATH | O_CREAT)) == 0 ? O_NOATIME : 0);
    bool cleared = false;
    while (true) {
        const int fd = ::openat(folder, name, flags | extra, mode);
        if (fd >= 0) return {Fd(fd), 0};
        if (errno == EINTR) continue;
        if (errno == EPERM && (extra & O_NOATIME) != 0) {
            extra &= ~O_NOATIME;
        } else if ((errno == EMFILE || errno == ENFILE) && !cleared) {
            cache.clear();
            cleared = true;
        } else {
            return {Fd{}, errno};
        }
    }
}

Folder::Pointer Folder::base(std::shared_ptr<FdCache> cache, Fd fd, std::string path) {
    return std::make_shared<Folder>(Key{}, std::move(cache), nullptr, std::move(path), Access::read, std::move(fd));
}

Folder::Pointer Folder::below(Pointer parent, std::string name, Access access) {
    std::shared_ptr<FdCache> cache = parent->cache_;
    return std::make_shared<Folder>(Key{}, std::move(cache), std::move(parent), std::move(name), access, Fd{});
}

Folder::Folder(Key, std::shared_ptr<FdCache> cache, Pointer parent, std::string name, Access access, Fd base)
    : cache_(std::move(cache)),
      parent_(std::move(parent)),
      name_(std::move(name)),
      access_(access),
      base_(base ? std::make_shared<Fd>(std::move(base)) : nullptr) {}

Folder::~Folder() {
    cache_->drop(slot_);
    release_chain(std::move(parent_));
}

Folder::Open Folder::open() {
    if (base_) return {base_, 0};
    if (FdCache::Pin pin = cache_->find(slot_)) return {std::move(pin), 0};
    std::vector<Folder*> way;  // from here up to below the nearest one that is open
    FdCache::Pin at;
    for (Folder* folder = this; !at; folder = folder->parent_.get()) {
        at = folder->base_ ? folder->base_ : cache_->find(folder->slot_);
        if (!at) way.push_back(folder);
    }
    // Who comes back up a long way needs those above next, so they are kept as well.
    constexpr std::size_t kept_max = 64;
    for (; !way.empty(); way.pop_back()) {
        Folder& folder = *way.back();
        OpenedFd next = open_in(*cache_, at->get(), folder.name_.c_str(), folder.flags());
        if (!next) return {nullptr, next.error};
        at = way.size() <= kept_max ? cache_->put(folder.slot_, std::move(next.fd))
                                    : std::make_shared<Fd>(std::move(next.fd));
    }
    return {std::move(at), 0};
}

int Folder::flags() const {
    const int follow = access_ == Access::follow ? 0 : O_NOFOLLOW;
    return O_DIRECTORY | follow | (access_ == Access::read ? O_RDONLY : O_PATH);
}

std::string Folder::path() const {
    std::vector<const Folder*> way;
    std::size_t size = 0;
    for (const Folder* folder = this; folder != nullptr; folder = folder->parent_.get()) {
        way.push_back(folder);
        size += folder->name_.size() + 1;
    }
    std::string out;
    out.reserve(size);
    for (; !way.empty(); way.pop_back()) {
        if (!out.empty() && out.back() != '/') out += '/';
        out += way.back()->name_;
    }
    return out;
}

std::string Folder::path_of(std::string_view name) const { return join_path(path(), name); }

}  // namespace holdfast
