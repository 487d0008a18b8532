#include "source/attributes.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

namespace holdfast {

namespace {

// The same on all architectures that Debian has; its headers are older than the calls.
constexpr long call_setxattrat = 463;
constexpr long call_getxattrat = 464;
constexpr long call_listxattrat = 465;
constexpr long call_removexattrat = 466;

struct XattrArgs {
    std::uint64_t value;
    std::uint32_t size;
    std::uint32_t flags;
};

constexpr std::size_t buffer_bytes = 64 * 1024;
using Buffer = std::array<char, buffer_bytes>;

std::atomic<bool> old_calls{false};

// A kernel before 6.13 says ENOSYS, a container's filter EPERM.
bool kernel_has_xattrat() {
    static const bool has = [] {
        char none = 0;
        return syscall(call_listxattrat, AT_FDCWD, "/", AT_SYMLINK_NOFOLLOW, &none, 0) >= 0 ||
               (errno != ENOSYS && errno != EPERM);
    }();
    return has && !old_calls.load(std::memory_order_relaxed);
}

std::string proc_path(const AttributeOwner& owner) {
    return "/proc/self/fd/" + std::to_string(owner.fd) + "/" + owner.name;
}

ssize_t list(const AttributeOwner& owner, Buffer& into) {
    if (owner.name == nullptr) return flistxattr(owner.fd, into.data(), into.size());
    if (kernel_has_xattrat())
        return syscall(call_listxattrat, owner.fd, owner.name, AT_SYMLINK_NOFOLLOW, into.data(), into.size());
    return llistxattr(proc_path(owner).c_str(), into.data(), into.size());
}

ssize_t get(const AttributeOwner& owner, const char* name, char* into, std::size_t size) {
    if (owner.name == nullptr) return fgetxattr(owner.fd, name, into, size);
    if (kernel_has_xattrat()) {
        XattrArgs args{reinterpret_cast<std::uint64_t>(into), static_cast<std::uint32_t>(size), 0};
        return syscall(call_getxattrat, owner.fd, owner.name, AT_SYMLINK_NOFOLLOW, name, &args, sizeof args);
    }
    return lgetxattr(proc_path(owner).c_str(), name, into, size);
}

bool means_none(int error) { return error == ENOTSUP || error == ENODATA; }

}  // namespace

AttributeList read_attributes(const AttributeOwner& owner) {
    static thread_local Buffer names;
    static thread_local Buffer value;
    AttributeList out;
    const ssize_t names_bytes = list(owner, names);
    if (names_bytes < 0) {
        out.error = means_none(errno) ? 0 : errno;
        // "No such file" may also mean that /proc is not mounted, which says nothing about the owner.
        if (out.error == ENOENT && owner.name != nullptr && !kernel_has_xattrat() && access("/proc/self/fd", F_OK) != 0)
            out.error = ENOSYS;
        return out;
    }
    for (const char* at = names.data(); at < names.data() + names_bytes; at += std::string_view(at).size() + 1) {
        const ssize_t got = get(owner, at, value.data(), value.size());
        if (got >= 0) {
            out.attributes.push_back({at, std::string(value.data(), static_cast<std::size_t>(got))});
        } else if (!means_none(errno)) {
            out.unread.push_back({at, errno});
        }
    }
    std::ranges::sort(out.attributes, {}, &Attribute::name);
    return out;
}

int set_attribute(const AttributeOwner& owner, const std::string& name, std::string_view value) {
    long done = 0;
    if (owner.name == nullptr) {
        done = fsetxattr(owner.fd, name.c_str(), value.data(), value.size(), 0);
    } else if (kernel_has_xattrat()) {
        XattrArgs args{reinterpret_cast<std::uint64_t>(value.data()), static_cast<std::uint32_t>(value.size()), 0};
        done = syscall(call_setxattrat, owner.fd, owner.name, AT_SYMLINK_NOFOLLOW, name.c_str(), &args, sizeof args);
    } else {
        done = lsetxattr(proc_path(owner).c_str(), name.c_str(), value.data(), value.size(), 0);
    }
    return done < 0 ? errno : 0;
}

int remove_attribute(const AttributeOwner& owner, const std::string& name) {
    long done = 0;
    if (owner.name == nullptr) {
        done = fremovexattr(owner.fd, name.c_str());
    } else if (kernel_has_xattrat()) {
        done = syscall(call_removexattrat, owner.fd, owner.name, AT_SYMLINK_NOFOLLOW, name.c_str());
    } else {
        done = lremovexattr(proc_path(owner).c_str(), name.c_str());
    }
    return done < 0 ? errno : 0;
}

bool has_attribute(const AttributeOwner& owner, const std::string& name) {
    return get(owner, name.c_str(), nullptr, 0) >= 0;
}

void use_old_attribute_calls(bool old) { old_calls.store(old, std::memory_order_relaxed); }

}  // namespace holdfast
