#include "source/metadata.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "source/partial_mark.h"

namespace holdfast {

namespace {

constexpr long call_fchmodat2 = 452;  // Linux 6.6; Debian's headers are older

// Others belong to the target's system (a security label), not to the file.
bool is_removable(std::string_view name, bool is_root_user) {
    return name.starts_with("user.") || is_acl(name) || name == "security.capability" ||
           (is_root_user && name.starts_with("trusted."));
}

const std::string* value_of(const std::vector<Attribute>& attributes, std::string_view name) {
    const auto found = std::ranges::find(attributes, name, &Attribute::name);
    return found == attributes.end() ? nullptr : &found->value;
}

}  // namespace

// One thing that gets its metadata: an open file or folder, or with `name` something in an open folder.
struct MetadataWriter::Step {
    int fd;
    const char* name;
    ItemKind kind;
    const Metadata& wanted;
    const PathMaker& path;
    AttributeOwner owner() const { return {fd, name}; }
};

Metadata metadata_of(const Item& item) {
    Metadata out{item.mode & 07777, item.uid, item.gid, item.mtime_ns, item.mtime_s, item.attributes};
    std::erase_if(out.attributes, [](const Attribute& attribute) { return attribute.name == partial_mark; });
    return out;
}

Present present_of(const struct stat& stat) {
    return {.mode = stat.st_mode & 07777, .uid = stat.st_uid, .gid = stat.st_gid};
}

bool differs(const Metadata& wanted, const Present& present) {
    return wanted.mode != present.mode || wanted.uid != present.uid || wanted.gid != present.gid || !present.has_times;
}

bool ends_restore(int error) {
    constexpr std::array fatal{ENOSPC, EDQUOT, EROFS, EIO, ENOMEM, EMFILE, ENFILE, ENODEV, ESTALE};
    return std::ranges::find(fatal, error) != fatal.end();
}

void throw_target_error(std::string_view verb, const std::string& path, int error) {
    Error failure{errno_code(error, Code::target_failed), "cannot {} {}: {}", verb, path, errno_text(error)};
    failure.set_unharmed("what was restored so far stays as it is");
    if (failure.code() == Code::no_space)
        failure.set_hint("Free some space, then give the same command again: it goes on where it ended.");
    throw failure;
}

int chmod_by_name(int folder, const char* name, unsigned mode) {
    if (syscall(call_fchmodat2, folder, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    if (errno != ENOSYS && errno != EPERM) return errno;
    const Fd held(::openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!held) return errno;
    const std::string path = "/proc/self/fd/" + std::to_string(held.get());
    return ::chmod(path.c_str(), mode) == 0 ? 0 : errno;
}

MetadataWriter::MetadataWriter(Findings& findings) : findings_(findings), is_root_user_(geteuid() == 0) {}

bool MetadataWriter::set(int fd, const Metadata& wanted, const Present& present, const PathMaker& path) {
    const Step step{fd, nullptr, ItemKind::file, wanted, path};
    const bool changed = set_all(step, present);
    if (present.has_times && !changed) return false;
    set_times(step);
    return true;
}

bool MetadataWriter::set_by_name(int folder, const char* name, ItemKind kind, const Metadata& wanted,
                                 const Present& present, const PathMaker& path) {
    const Step step{folder, name, kind, wanted, path};
    const bool changed = set_all(step, present);
    if (present.has_times && !changed) return false;
    set_times(step);
    return true;
}

bool MetadataWriter::set_all(const Step& step, Present now) {
    bool changed = set_owner(step, now);
    AttributeList current;
    if (!now.is_new) current = read_attributes(step.owner());
    const bool removed = remove_others(step, current);
    changed |= set_attributes(step, current, Which::plain);
    const bool mode_changed = set_mode(step, now, removed);
    if (mode_changed) std::erase_if(current.attributes, [](const auto& attribute) { return is_acl(attribute.name); });
    changed |= set_attributes(step, current, Which::acls);
    return changed || removed || mode_changed;
}

bool MetadataWriter::set_owner(const Step& step, Present& now) {
    const Metadata& wanted = step.wanted;
    if (now.uid == wanted.uid && now.gid == wanted.gid) return false;
    const auto chown = [&](uid_t uid, gid_t gid) {
        const int done = step.name == nullptr ? ::fchown(step.fd, uid, gid)
                                              : ::fchownat(step.fd, step.name, uid, gid, AT_SYMLINK_NOFOLLOW);
        return done == 0 ? 0 : errno;
    };
    int error = chown(wanted.uid, wanted.gid);
    if (error == 0) {
        now.uid = wanted.uid;
    } else if (now.gid != wanted.gid && chown(static_cast<uid_t>(-1), wanted.gid) == 0) {
        if (now.uid == wanted.uid) error = 0;
    } else {
        cannot(step, "owner", error);
        return false;
    }
    now.gid = wanted.gid;
    now.mode &= ~unsigned{S_ISUID | S_ISGID};  // the kernel takes them from files; folders get their mode anyway
    if (error != 0) cannot(step, "owner", error);
    return true;
}

bool MetadataWriter::remove_others(const Step& step, const AttributeList& current) {
    bool changed = false;
    for (const Attribute& attribute : current.attributes) {
        if (!is_removable(attribute.name, is_root_user_) || value_of(step.wanted.attributes, attribute.name) != nullptr)
            continue;
        if (const int error = remove_attribute(step.owner(), attribute.name); error != 0)
            cannot(step, "attribute " + attribute.name, error);
        changed = true;
    }
    return changed;
}

bool MetadataWriter::set_attributes(const Step& step, const AttributeList& current, Which which) {
    bool changed = false;
    for (const auto& [name, value] : step.wanted.attributes) {
        if (is_acl(name) != (which == Which::acls)) continue;
        if (const std::string* has = value_of(current.attributes, name); has != nullptr && *has == value) continue;
        if (const int error = set_attribute(step.owner(), name, value); error != 0)
            cannot(step, "attribute " + name, error);
        changed = true;
    }
    return changed;
}

bool MetadataWriter::set_mode(const Step& step, const Present& now, bool always) {
    if (step.kind == ItemKind::symlink) return false;
    unsigned mode = step.wanted.mode;
    // Rights of a user or group that it could not be given to would go to somebody else.
    if (now.uid != step.wanted.uid) mode &= ~unsigned{S_ISUID};
    if (now.gid != step.wanted.gid) mode &= ~unsigned{S_ISGID};
    if (now.mode == mode && !always) return false;
    const int error =
        step.name != nullptr ? chmod_by_name(step.fd, step.name, mode) : (::fchmod(step.fd, mode) == 0 ? 0 : errno);
    if (error != 0) cannot(step, "mode", error);
    return true;
}

void MetadataWriter::set_times(const Step& step) {
    const Metadata& wanted = step.wanted;
    const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{wanted.mtime_s, wanted.mtime_ns}};
    const bool is_open = step.name == nullptr;
    if ((is_open ? futimens(step.fd, times.data())
                 : utimensat(step.fd, step.name, times.data(), AT_SYMLINK_NOFOLLOW)) != 0)
        return cannot(step, "times", errno);
    struct stat now {};
    if ((is_open ? fstat(step.fd, &now) : fstatat(step.fd, step.name, &now, AT_SYMLINK_NOFOLLOW)) != 0) return;
    if (now.st_mtim.tv_sec == wanted.mtime_s && now.st_mtim.tv_nsec == std::int64_t{wanted.mtime_ns}) return;
    findings_.count(Finding::Kind::unsupported, "times cannot be set: this file system keeps them less exactly",
                    step.path());
}

void MetadataWriter::cannot(const Step& step, std::string_view what, int error) {
    if (ends_restore(error)) throw_target_error(fmt::format("set the {} of", what), step.path(), error);
    findings_.count(Finding::Kind::unsupported, fmt::format("{} cannot be set: {}", what, errno_text(error)),
                    step.path());
}

}  // namespace holdfast
