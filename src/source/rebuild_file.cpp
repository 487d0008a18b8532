#include "source/rebuild_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace holdfast {

RebuildFile::RebuildFile(RebuildContext& context, TargetFolderPointer folder, std::string name, const Item& item,
                         Way way)
    : context_(context),
      folder_(std::move(folder)),
      name_(std::move(name)),
      path_(item.path),
      size_(item.size),
      metadata_(metadata_of(item)),
      way_(way),
      at_(way == Way::replace ? name_until_complete(name_) : name_) {}

// What ends before it is complete leaves nothing under a name that is not its own.
RebuildFile::~RebuildFile() {
    if (way_ == Way::replace && at_ != name_) abandon();
    context_.target.cache().drop(slot_);
}

bool RebuildFile::create() { return open() != nullptr; }

void RebuildFile::write(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty() || given_up_.load(std::memory_order_relaxed)) return;
    const FdCache::Pin fd = open();
    if (!fd) return;
    std::uint64_t end = end_.load(std::memory_order_relaxed);
    while (end < offset + bytes.size() && !end_.compare_exchange_weak(end, offset + bytes.size())) {
    }
    bool is_update = false;
    {
        const std::lock_guard lock(mutex_);
        is_update = way_ == Way::update;
        if (is_update) note_written(offset, bytes.size());
    }
    if (is_update) {
        write_differing(fd->get(), offset, bytes);
    } else {
        const std::lock_guard lock(writing_);
        write_all(fd->get(), offset, bytes);
    }
}

// The descriptor, which may have been closed in favour of others. Nothing when the file was given up.
FdCache::Pin RebuildFile::open() {
    FdCache& cache = context_.target.cache();
    if (FdCache::Pin pin = cache.find(slot_)) return pin;
    const std::lock_guard lock(mutex_);
    if (FdCache::Pin pin = cache.find(slot_)) return pin;
    if (given_up_) return nullptr;
    const Folder::Open folder = folder_->folder->open();
    if (!folder) return give_up("open the folder of", folder.error), nullptr;
    OpenedFd file;
    if (exists_ || way_ == Way::update)
        file = open_in(cache, folder.get(), at_.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    if (way_ == Way::update && !exists_) begin_update(file);
    if (way_ != Way::update && !exists_) file = make_new(folder.get());
    if (!file) return give_up(exists_ ? "open" : "create", file.error), nullptr;
    exists_ = true;
    return cache.put(slot_, std::move(file.fd));
}

// What cannot be written in place (a running program, a file without the right to write) is replaced.
void RebuildFile::begin_update(OpenedFd& file) {
    struct stat stat {};
    if (file && fstat(file.fd.get(), &stat) == 0 && S_ISREG(stat.st_mode)) {
        present_ = present_of(stat);
        old_size_ = static_cast<std::uint64_t>(stat.st_size);
        return;
    }
    file = {};
    way_ = Way::replace;
    at_ = name_until_complete(name_);
}

OpenedFd RebuildFile::make_new(int folder) {
    unsigned mode = metadata_.mode & 0777;
    // Until it has its owner, nobody may read or write it who may not afterwards.
    const unsigned group_more = mode >> 3 & 7 & ~mode;
    if (group_more != 0 && metadata_.gid != context_.target.gid()) mode &= ~070U;
    // A user must be able to open it again; root can anyway.
    if (!context_.metadata.is_root_user()) mode |= 0600;
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    FdCache& cache = context_.target.cache();
    OpenedFd file = open_in(cache, folder, at_.c_str(), flags, mode);
    // An interrupted restore left it.
    if (file.error == EEXIST && way_ == Way::replace && unlinkat(folder, at_.c_str(), 0) == 0)
        file = open_in(cache, folder, at_.c_str(), flags, mode);
    if (!file) return file;
    present_ = {.mode = mode & ~context_.target.umask(),
                .uid = context_.target.uid(),
                .gid = context_.target.gid(),
                .is_new = true};
    struct stat stat {};
    if (!folder_->is_plain && fstat(file.fd.get(), &stat) == 0) present_ = present_of(stat);
    return file;
}

void RebuildFile::give_up(std::string_view verb, int error) {
    if (!given_up_.exchange(true)) context_.failed(verb, path_, error);
}

void RebuildFile::write_all(int fd, std::uint64_t offset, ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return give_up("write", put < 0 ? errno : EIO);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

void RebuildFile::write_differing(int fd, std::uint64_t offset, ByteView bytes) {
    static thread_local std::array<std::uint8_t, 64 * 1024> present;
    while (!bytes.empty()) {
        const ByteView part = bytes.first(std::min(bytes.size(), present.size()));
        const ssize_t got = ::pread(fd, present.data(), part.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        // What cannot be read is replaced.
        if (got != std::ssize(part) || std::memcmp(present.data(), part.data(), part.size()) != 0) {
            overwritten_ += part.size();
            write_all(fd, offset, part);
        }
        bytes = bytes.subspan(part.size());
        offset += part.size();
    }
}

void RebuildFile::note_written(std::uint64_t offset, std::uint64_t bytes) {
    std::uint64_t from = offset;
    std::uint64_t to = offset + bytes;
    auto next = written_.lower_bound(from);
    if (next != written_.end() && next->first == to) {
        to = next->second;
        next = written_.erase(next);
    }
    if (next != written_.begin() && std::prev(next)->second == from) {
        std::prev(next)->second = to;
    } else {
        written_.emplace(from, to);
    }
}

bool RebuildFile::end() {
    const FdCache::Pin fd = open();
    if (!fd || given_up_) return false;
    const std::lock_guard lock(mutex_);
    if (!fit_size(fd->get())) return false;
    struct stat stat {};  // writing took setuid and setgid from a file that has them
    if (way_ == Way::update && fstat(fd->get(), &stat) == 0) present_ = present_of(stat);
    context_.metadata.set(fd->get(), metadata_, present_, [this] { return path_; });
    context_.target.cache().drop(slot_);
    // Some file systems say only now that there is no room.
    if (fd.use_count() == 1 && ::close(fd->release()) != 0 && errno != EINTR) give_up("write", errno);
    return !given_up_ && take_place();
}

bool RebuildFile::take_place() {
    if (at_ == name_) return true;
    const Folder::Open folder = folder_->folder->open();
    const int error = !folder                                                                   ? folder.error
                      : ::renameat(folder.get(), at_.c_str(), folder.get(), name_.c_str()) != 0 ? errno
                                                                                                : 0;
    if (error != 0) return give_up("replace", error), false;
    at_ = name_;
    return true;
}

// Holes are not written: at the end of a new file its size is set, in an updated one old bytes are taken out.
bool RebuildFile::fit_size(int fd) {
    std::uint64_t has = end_.load();
    if (way_ == Way::update) {
        has = std::max(has, old_size_);
        std::uint64_t from = 0;
        for (const auto& [begin, end] : written_) {
            if (!clear(fd, from, std::min(begin, old_size_))) return false;
            from = end;
        }
        if (!clear(fd, from, std::min(size_, old_size_))) return false;
    }
    if (has == size_ || ::ftruncate(fd, static_cast<off_t>(size_)) == 0) return true;
    give_up("set the size of", errno);
    return false;
}

bool RebuildFile::clear(int fd, std::uint64_t from, std::uint64_t to) {
    if (from >= to) return true;
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                    static_cast<off_t>(to - from)) == 0)
        return true;
    static constexpr std::array<std::uint8_t, 64 * 1024> zeros{};
    for (; from < to && !given_up_; from += zeros.size())
        write_differing(fd, from, ByteView(zeros).first(std::min<std::uint64_t>(zeros.size(), to - from)));
    return !given_up_;
}

std::optional<std::uint64_t> RebuildFile::abandon() {
    given_up_ = true;
    const std::lock_guard lock(mutex_);
    context_.target.cache().drop(slot_);
    if (way_ == Way::update) return overwritten_;
    if (std::exchange(exists_, false))
        if (const Folder::Open folder = folder_->folder->open()) unlinkat(folder.get(), at_.c_str(), 0);
    return way_ == Way::replace ? std::optional<std::uint64_t>(0) : std::nullopt;
}

}  // namespace holdfast
