#include "sandbox/mount_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

namespace holdfast {

namespace {

static_assert(MS_RDONLY == MOUNT_ATTR_RDONLY && MS_NOSUID == MOUNT_ATTR_NOSUID && MS_NODEV == MOUNT_ATTR_NODEV &&
              MS_NOEXEC == MOUNT_ATTR_NOEXEC);

// Flags that a mount has must stay when others are added, where it is another user's.
unsigned long kept_flags(const char* path) {
    struct statvfs info {};
    if (::statvfs(path, &info) != 0) return 0;
    unsigned long out = 0;
    if ((info.f_flag & ST_RDONLY) != 0) out |= MS_RDONLY;
    if ((info.f_flag & ST_NOSUID) != 0) out |= MS_NOSUID;
    if ((info.f_flag & ST_NODEV) != 0) out |= MS_NODEV;
    if ((info.f_flag & ST_NOEXEC) != 0) out |= MS_NOEXEC;
    if ((info.f_flag & ST_NOATIME) != 0) out |= MS_NOATIME;
    if ((info.f_flag & ST_NODIRATIME) != 0) out |= MS_NODIRATIME;
    if ((info.f_flag & ST_RELATIME) != 0) out |= MS_RELATIME;
    return out;
}

using Path = std::array<char, PATH_MAX>;

// As the list of mounts says it: without symlinks.
int real_path(const char* path, Path& out) {
    const int fd = ::open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return errno;
    std::array<char, 32> link{};
    fmt::format_to_n(link.data(), link.size() - 1, "/proc/self/fd/{}", fd);
    const ssize_t got = ::readlink(link.data(), out.data(), out.size() - 1);
    const int error = got < 0 ? errno : 0;
    ::close(fd);
    if (error == 0) out[static_cast<std::size_t>(got)] = '\0';
    return error;
}

// The mount points of /proc/self/mountinfo, byte by byte: its fifth field, with blanks and backslashes in octal.
class MountPoints {
public:
    // Whether a line ended, so that path() is its mount point.
    bool feed(char c) {
        if (is_new_) {
            is_new_ = false;
            length_ = field_ = octal_left_ = 0;
        }
        if (c == '\n') {
            path_[length_] = '\0';
            return is_new_ = true;
        }
        if (c == ' ')
            ++field_;
        else if (field_ == mount_point_field)
            take(c);
        return false;
    }
    const char* path() const { return path_.data(); }

private:
    static constexpr unsigned mount_point_field = 4;

    void take(char c) {
        if (octal_left_ > 0) {
            value_ = value_ * 8 + static_cast<unsigned>(c - '0');
            if (--octal_left_ == 0) put(static_cast<char>(value_));
        } else if (c == '\\') {
            octal_left_ = 3;
            value_ = 0;
        } else {
            put(c);
        }
    }
    void put(char c) {
        if (length_ + 1 < path_.size()) path_[length_++] = c;
    }

    Path path_{};
    std::size_t length_ = 0;
    unsigned field_ = 0, octal_left_ = 0, value_ = 0;
    bool is_new_ = true;
};

bool is_at_or_below(std::string_view path, std::string_view top) {
    return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

}  // namespace

int lock_mounts(const char* top, unsigned long flags) {
    mount_attr change{};
    change.attr_set = flags;
    if (::syscall(SYS_mount_setattr, AT_FDCWD, top, AT_RECURSIVE, &change, sizeof change) == 0) return 0;
    // Containers may refuse what they do not know.
    return errno == ENOSYS || errno == EPERM ? lock_mounts_one_by_one(top, flags) : errno;
}

int lock_mounts_one_by_one(const char* top, unsigned long flags) {
    Path real{};
    if (const int error = real_path(top, real); error != 0) return error;
    const int list = ::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (list < 0) return errno;
    MountPoints points;
    std::array<char, 4096> buffer{};
    int error = 0;
    bool has_top = false;
    ssize_t got = 0;
    while (error == 0 && (got = ::read(list, buffer.data(), buffer.size())) > 0) {
        for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
            if (!points.feed(c) || !is_at_or_below(points.path(), real.data())) continue;
            const char* const path = points.path();
            has_top = has_top || std::string_view(path) == real.data();
            if (::mount(nullptr, path, nullptr, MS_BIND | MS_REMOUNT | flags | kept_flags(path), nullptr) == 0)
                continue;
            if (errno == ENOENT) continue;  // another mount hides it
            error = errno;
            break;
        }
    }
    if (got < 0) error = errno;
    ::close(list);
    return error == 0 && !has_top ? EINVAL : error;
}

}  // namespace holdfast
