#include "sources/files/entry.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>

namespace holdfast::files {

namespace {

constexpr unsigned wanted = STATX_BASIC_STATS;

// Times wrap after 584 years, which makes no two of them equal that can be met. At most 55 bytes are one
// block of SHA-256, and one is what each file of a rescan costs that has one name.
struct Version {
    std::uint64_t inode;
    std::uint64_t size;  // of a folder, whose size differs by file system, the treatment
    std::uint64_t mtime;
    std::uint64_t ctime;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t links;  // not of a folder: sub-folders that come and go are no change of it
    std::uint32_t mode;
};
static_assert(sizeof(Version) == 48 && std::has_unique_object_representations_v<Version>);

std::uint64_t nanoseconds(const statx_timestamp& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + time.tv_nsec;
}

ItemKind kind_of(const Stat& stat) {
    switch (stat.stx_mode & S_IFMT) {
        case S_IFDIR:
            return ItemKind::folder;
        case S_IFLNK:
            return ItemKind::symlink;
        case S_IFIFO:
            return ItemKind::fifo;
        case S_IFSOCK:
            return ItemKind::socket;
        case S_IFCHR:
            return ItemKind::char_device;
        case S_IFBLK:
            return ItemKind::block_device;
        default:
            return ItemKind::file;
    }
}

Version make_version(const Stat& stat, std::uint32_t treatment) {
    const bool folder = is_folder(stat);
    return {.inode = stat.stx_ino,
            .size = folder ? treatment : stat.stx_size,
            .mtime = nanoseconds(stat.stx_mtime),
            .ctime = nanoseconds(stat.stx_ctime),
            .uid = stat.stx_uid,
            .gid = stat.stx_gid,
            .links = folder ? 0 : stat.stx_nlink,
            .mode = stat.stx_mode};
}

std::string_view bytes_of(const Version& version) { return {reinterpret_cast<const char*>(&version), sizeof version}; }

std::uint64_t mix(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

}  // namespace

int stat_at(int folder, const char* name, Stat& out) {
    return ::statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, wanted, &out) == 0 ? 0 : errno;
}

int stat_following(int folder, const char* name, Stat& out) {
    return ::statx(folder, name, 0, wanted, &out) == 0 ? 0 : errno;
}

int stat_open(int fd, Stat& out) { return ::statx(fd, "", AT_EMPTY_PATH, wanted, &out) == 0 ? 0 : errno; }

// On the home device the inode itself, on others a tag of the device in the upper 16 bits. Inodes of 48 bits
// and more (some network and overlay file systems) are mixed with the tag: two that meet are as unlikely as
// two equal 64-bit hashes.
std::uint64_t LinkNumbers::number(const Stat& stat) {
    const std::uint64_t device = device_of(stat);
    const std::uint64_t tag = device == home_ ? 0 : tag_of(device);
    if (stat.stx_ino != 0 && stat.stx_ino >> 48 == 0) return tag << 48 | stat.stx_ino;
    return mix(mix(stat.stx_ino) + tag) | 1;
}

std::uint64_t LinkNumbers::tag_of(std::uint64_t device) {
    const std::lock_guard lock(mutex_);
    if (const auto known = tags_.find(device); known != tags_.end()) return known->second;
    std::uint64_t tag = mix(device) & 0xffff;
    const auto taken = [&] {
        for (const auto& [other, value] : tags_) {
            if (value == tag) return true;
        }
        return tag == 0;
    };
    while (taken()) tag = (tag + 1) & 0xffff;
    return tags_[device] = tag;
}

std::string version_of(const Stat& stat, std::uint32_t treatment) {
    return std::string(bytes_of(make_version(stat, treatment)));
}

bool is_still(const Stat& stat, std::string_view version) {
    return version.substr(0, sizeof(Version)) == bytes_of(make_version(stat, 0));
}

void fill_entry(Batch::Entry& entry, std::string_view folder, std::string_view name, const Stat& stat,
                std::uint32_t treatment, LinkNumbers& links) {
    Item& item = entry.item;
    item.path.reserve(folder.size() + 1 + name.size());
    item.path = folder;
    if (!folder.empty() && folder.back() != '/') item.path += '/';
    item.path += name;
    item.kind = kind_of(stat);
    item.mode = stat.stx_mode & 07777;
    item.uid = stat.stx_uid;
    item.gid = stat.stx_gid;
    item.mtime_s = stat.stx_mtime.tv_sec;
    item.mtime_ns = stat.stx_mtime.tv_nsec;
    item.size = 0;
    item.device = 0;
    item.hard_link = 0;
    // The entry may have held another item before.
    item.user.clear();
    item.group.clear();
    item.link.clear();
    item.attributes.clear();
    entry.expected_bytes = 0;
    if (is_file(stat)) {
        item.size = stat.stx_size;
        entry.expected_bytes = std::min<std::uint64_t>(stat.stx_size, stat.stx_blocks * 512);
    } else if (item.kind == ItemKind::char_device || item.kind == ItemKind::block_device) {
        item.device = gnu_dev_makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
    }
    entry.version = bytes_of(make_version(stat, treatment));
    if (stat.stx_nlink > 1 && !is_folder(stat)) {
        item.hard_link = links.number(stat);
        entry.version.append(reinterpret_cast<const char*>(&item.hard_link), sizeof item.hard_link);
    }
}

}  // namespace holdfast::files
