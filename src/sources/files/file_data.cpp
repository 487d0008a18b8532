#include "sources/files/file_data.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/error.h"
#include "sources/files/entry.h"

namespace holdfast::files {

FileData::FileData(Fd fd, std::string path, std::uint64_t size, bool is_sparse, std::string version)
    : fd_(std::move(fd)), path_(std::move(path)), size_(size), is_sparse_(is_sparse), version_(std::move(version)) {
    constexpr std::uint64_t read_ahead_from = 1024 * 1024;
    if (size_ >= read_ahead_from) posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
}

ItemData::Piece FileData::read(MutableByteView into) {
    const std::uint64_t end = size_ != 0 ? size_ : std::numeric_limits<std::uint64_t>::max();
    if (is_sparse_ && at_ == data_end_ && at_ < end) {
        if (const std::uint64_t hole = find_hole(); hole > 0) return {0, hole};
    }
    std::size_t done = 0;
    while (done < into.size()) {
        const std::uint64_t left = (is_sparse_ ? data_end_ : end) - at_;
        if (left == 0) break;
        const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, into.size() - done));
        const ssize_t got = ::pread(fd_.get(), into.data() + done, want, static_cast<off_t>(at_));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            broken_ = errno;
            return {.is_broken = true};
        }
        if (got == 0) {  // shorter than it was
            data_end_ = at_;
            break;
        }
        done += static_cast<std::size_t>(got);
        at_ += static_cast<std::uint64_t>(got);
    }
    return {done, 0};
}

// The length of the hole at `at_`, or 0 and where the data ends that begins here.
std::uint64_t FileData::find_hole() {
    const std::uint64_t here = at_;
    const off_t data = ::lseek(fd_.get(), static_cast<off_t>(here), SEEK_DATA);
    if (data < 0 && errno != ENXIO) {  // the file system knows no holes
        data_end_ = size_;
        return 0;
    }
    at_ = data < 0 ? size_ : std::min(static_cast<std::uint64_t>(data), size_);
    data_end_ = at_;
    if (at_ > here) return at_ - here;
    const off_t hole = ::lseek(fd_.get(), static_cast<off_t>(here), SEEK_HOLE);
    data_end_ = hole < 0 ? size_ : std::min(static_cast<std::uint64_t>(hole), size_);
    return 0;
}

std::optional<Finding> FileData::verdict() {
    if (broken_ != 0) return Finding{path_, Finding::Kind::unreadable, "cannot be read: " + errno_text(broken_)};
    Stat now;
    const int error = stat_open(fd_.get(), now);
    if (error == 0 && is_still(now, version_)) return std::nullopt;
    return Finding{path_, Finding::Kind::changed, "changed while it was read"};
}

}  // namespace holdfast::files
