// What the folder of a store lies on, and who may write there.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "stores/local/file_system.h"
#include "stores/local/local_store.h"

namespace holdfast {

namespace {

constexpr std::uint64_t few_bytes = std::uint64_t{1} << 30;
constexpr std::uint64_t few_percent = 5;

Observation space_of(int root) {
    struct statvfs info {};
    if (::fstatvfs(root, &info) != 0)
        return {"space", Severity::not_tested, fmt::format("it cannot be asked: {}", errno_text(errno))};
    const std::uint64_t free = static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
    const std::uint64_t all = static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize;
    const std::string text = fmt::format("{} of {} are free", human_bytes(free), human_bytes(all));
    if (info.f_bavail == 0)
        return {"space", Severity::error, "none is left", "`forget` and `prune`, or a larger disk."};
    if (info.f_files > 0 && info.f_favail < 1000)
        return {"space", Severity::error, fmt::format("{} more files can be made", info.f_favail),
                "Make inodes free on that file system."};
    if (free < few_bytes || free < all / 100 * few_percent)
        return {"space", Severity::warning, text, "`forget` and `prune`, or a larger disk."};
    return {"space", Severity::good, text};
}

Observation file_system_of_folder(int root) {
    struct statfs info {};
    if (::fstatfs(root, &info) != 0)
        return {"file system", Severity::not_tested, fmt::format("it cannot be asked: {}", errno_text(errno))};
    const FileSystem& kind = file_system_of(static_cast<std::uint64_t>(info.f_type) & 0xffffffffU);
    if (kind.is_refused)
        return {"file system", Severity::error, fmt::format("{} does not keep what a store must", kind.name),
                "Use a local disk, NFS or a bucket."};
    if (!kind.lists_at_once)
        return {
            "file system", Severity::good,
            fmt::format("{}: what other machines have just written may show late, which is allowed for", kind.name)};
    return {"file system", Severity::good, std::string(kind.name)};
}

Observation permissions_of(int root, const std::string& path) {
    struct stat info {};
    if (::fstat(root, &info) != 0)
        return {"permissions", Severity::not_tested, fmt::format("they cannot be asked: {}", errno_text(errno))};
    if ((info.st_mode & S_IWOTH) != 0)
        return {"permissions", Severity::error, "everybody on this machine can remove the backups",
                fmt::format("chmod o-w {}", path)};
    if (::faccessat(root, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return {"permissions", Severity::error, fmt::format("this user cannot write there: {}", errno_text(errno)),
                "Run as the owner of the folder, or give it to this user."};
    return {"permissions", Severity::good,
            (info.st_mode & S_IWGRP) != 0 ? "its owner and group can write" : "its owner can write"};
}

Observation clock_of(int root, World& world) {
    const Fd file(::openat(root, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0)
        return {"clock", Severity::not_tested, "the file system does not tell its time"};
    const Nanoseconds there = info.st_mtim.tv_sec * one_second + info.st_mtim.tv_nsec;
    const Nanoseconds off = there - world.clock.now();
    constexpr Nanoseconds off_max = 60 * one_second;
    if (off > -off_max && off < off_max)
        return {"clock", Severity::good, "this machine's clock and the file system's agree"};
    return {"clock", Severity::warning,
            fmt::format("this machine's clock is {} {} the file system's", human_duration(off > 0 ? off : -off),
                        off > 0 ? "behind" : "ahead of"),
            "Set the clocks of this machine and of the file server (NTP)."};
}

}  // namespace

Observations LocalStore::examine(World& world) const {
    const int root = root_.get();
    return {file_system_of_folder(root), space_of(root), permissions_of(root, path_), clock_of(root, world)};
}

}  // namespace holdfast
