#include "stores/local/file_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace holdfast {

namespace {

// What O_DIRECT asks of addresses, sizes and places in a file, on any disk.
struct alignas(4096) Block {
    std::array<std::uint8_t, 4096> bytes;
};
constexpr std::size_t direct_blocks = 256;

bool set_direct(const Fd& fd, bool on) {
    const int flags = ::fcntl(fd.get(), F_GETFL);
    return flags >= 0 && ::fcntl(fd.get(), F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

}  // namespace

Code code_of(int number) {
    switch (number) {
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::denied;
        case EIO:
        case EINTR:
        case ENXIO:
        case ENODEV:
        case ESTALE:
        case ENOTCONN:
        case ETIMEDOUT:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENETDOWN:
        case ENETUNREACH:
        case ECONNRESET:
        case ECONNABORTED:
        case ESHUTDOWN:
        case EREMOTEIO:
            return Code::unreachable;
        case EUCLEAN:
        case EBADMSG:
            return Code::corrupt;
        case ENAMETOOLONG:
            return Code::usage;
        default:
            return errno_code(number, Code::failed);
    }
}

// Some file systems cannot sync a folder; those write names through, or keep no promise at all.
int sync_folder(const Fd& folder) {
    return ::fsync(folder.get()) == 0 || errno == EINVAL || errno == EOPNOTSUPP ? 0 : errno;
}

int make_folders(int base, const std::string& path, mode_t mode) {
    for (std::size_t slash = 0; slash != std::string::npos;) {
        slash = path.find('/', slash + 1);
        const std::string folder = path.substr(0, slash);
        const bool made = ::mkdirat(base, folder.c_str(), mode) == 0;
        if (!made && errno != EEXIST) return errno;
        // The last one was missing: if it is there now, another makes it at this moment and may not have
        // synced.
        if (!made && slash != std::string::npos) continue;
        const std::size_t above = folder.rfind('/');
        const std::string parent = above == std::string::npos ? "." : folder.substr(0, std::max<std::size_t>(above, 1));
        const Fd fd(::openat(base, parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return errno;
        if (const int failure = sync_folder(fd)) return failure;
    }
    return 0;
}

int write_bytes(const Fd& fd, ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t put = ::write(fd.get(), bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return 0;
}

int write_bytes_directly(const Fd& fd, ByteView bytes) {
    if (!set_direct(fd, true)) return write_bytes(fd, bytes);
    std::vector<Block> blocks(direct_blocks);
    while (bytes.size() >= sizeof(Block)) {
        const std::size_t count = std::min(direct_blocks, bytes.size() / sizeof(Block)) * sizeof(Block);
        std::memcpy(blocks.data(), bytes.data(), count);
        const ssize_t put = ::write(fd.get(), blocks.data(), count);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EINVAL) break;
        if (put < 0) return errno;
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        if (static_cast<std::size_t>(put) % sizeof(Block) != 0) break;
    }
    // The end that fills no block, and everything where only the write itself told that it cannot be done.
    if (!set_direct(fd, false)) return errno;
    return write_bytes(fd, bytes);
}

int read_bytes(const Fd& fd, std::uint64_t offset, Bytes& out) {
    std::size_t at = 0;
    while (at < out.size()) {
        const ssize_t got = ::pread(fd.get(), out.data() + at, out.size() - at, static_cast<off_t>(offset + at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        at += static_cast<std::size_t>(got);
    }
    out.resize(at);
    return 0;
}

int read_folder(int base, const std::string& folder, std::vector<Entry>& entries) {
    const int fd =
        ::openat(base, folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno;
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
    if (!stream) {
        const int failure = errno;
        ::close(fd);
        return failure;
    }
    while (true) {
        errno = 0;
        const dirent* const entry = ::readdir(stream.get());
        if (entry == nullptr) return errno;
        if (entry->d_name[0] != '.') entries.push_back({entry->d_name, entry->d_type});
    }
}

}  // namespace holdfast
