#include "source/inspect.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "source/attributes.h"
#include "source/folder_rebuild.h"
#include "source/listing.h"
#include "source/metadata.h"
#include "source/partial_mark.h"
#include "source/rebuild_target.h"

namespace holdfast {

namespace {

constexpr std::size_t open_fds_max = 256;

ItemKind kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
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

Folder::Pointer open_target(const std::shared_ptr<FdCache>& cache, const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw Error{Code::target_failed, "cannot look at {}: {}", path, errno_text(errno)};
    return Folder::base(cache, std::move(fd), path);
}

std::string read_link(int folder, const char* name) {
    std::string out(64 * 1024, '\0');
    const ssize_t got = ::readlinkat(folder, name, out.data(), out.size());
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return out;
}

// A label of the target's system is no difference.
bool counts(const std::string& attribute) { return attribute.starts_with("user.") || is_acl(attribute); }

}  // namespace

std::string_view name_of(Aspect aspect) {
    switch (aspect) {
        case Aspect::missing:
            return "missing";
        case Aspect::kind:
            return "kind";
        case Aspect::size:
            return "size";
        case Aspect::content:
            return "content";
        case Aspect::owner:
            return "owner";
        case Aspect::mode:
            return "mode";
        case Aspect::time:
            return "time";
        case Aspect::attributes:
            return "attributes";
        case Aspect::link:
            return "link";
        case Aspect::unreadable:
            return "unreadable";
    }
    return "unknown";
}

Inspector::Inspector(std::string target, std::string strip)
    : target_(std::move(target)), strip_(std::move(strip)), cache_(std::make_shared<FdCache>(open_fds_max)) {
    way_.push_back(open_target(cache_, target_));
}

Folder::Open Inspector::enter(std::string_view path) {
    while (!path_.empty() && !is_within(path, path_)) {
        way_.pop_back();
        const std::size_t slash = path_.rfind('/');
        path_.resize(slash == std::string::npos ? 0 : slash);
    }
    while (path_.size() < path.size()) {
        const std::size_t begin = path_.empty() ? 0 : path_.size() + 1;
        const std::string name(path.substr(begin, path.find('/', begin) - begin));
        way_.push_back(Folder::below(way_.back(), name));
        path_ += (path_.empty() ? "" : "/") + name;
    }
    return way_.back()->open();
}

Inspector::Look Inspector::look(const Item& item) {
    Look out;
    const auto path = path_below_target(item, strip_);
    if (!path || path->empty()) return out;
    const auto [above, name] = split_path(*path);
    if (above.empty() && name == restore_marker) return out;
    out.concerned = true;
    const Place place{enter(above), std::string(name)};
    struct stat found {};
    if (!place.folder || ::fstatat(place.folder.get(), place.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        const int error = place.folder ? errno : place.folder.error;
        out.differences.push_back({item.path, error == ENOENT ? Aspect::missing : Aspect::unreadable,
                                   std::string(name_of(item.kind)), errno_text(error)});
        return out;
    }
    if (kind_of(found.st_mode) != item.kind) {
        out.differences.push_back(
            {item.path, Aspect::kind, std::string(name_of(item.kind)), std::string(name_of(kind_of(found.st_mode)))});
        return out;
    }
    compare_metadata(place, item, found, out);
    compare_attributes(place, item, out);
    compare_content(place, item, found, out);
    return out;
}

void Inspector::compare_metadata(const Place& place, const Item& item, const struct stat& found, Look& out) const {
    const auto differs = [&](Aspect aspect, std::string expected, std::string is) {
        out.differences.push_back({item.path, aspect, std::move(expected), std::move(is)});
    };
    const bool is_leading = item.kind == ItemKind::folder && wholeness_of(item) == Wholeness::leading;
    const bool owner_differs = found.st_uid != item.uid || found.st_gid != item.gid;
    // A folder that only leads to what was restored may belong to whoever restored, and others work in it.
    if (owner_differs && !(is_leading && ::geteuid() != 0))
        differs(Aspect::owner, fmt::format("{}:{}", item.uid, item.gid),
                fmt::format("{}:{}", found.st_uid, found.st_gid));
    if (item.kind != ItemKind::symlink && (found.st_mode & 07777) != (item.mode & 07777))
        differs(owner_differs ? Aspect::owner : Aspect::mode, fmt::format("{:04o}", item.mode & 07777),
                fmt::format("{:04o}", found.st_mode & 07777));
    if (!is_leading && (found.st_mtim.tv_sec != item.mtime_s || found.st_mtim.tv_nsec != std::int64_t{item.mtime_ns}))
        differs(Aspect::time, fmt::format("{}.{:09}", item.mtime_s, item.mtime_ns),
                fmt::format("{}.{:09}", found.st_mtim.tv_sec, found.st_mtim.tv_nsec));
    const bool is_device = item.kind == ItemKind::char_device || item.kind == ItemKind::block_device;
    if (is_device && found.st_rdev != item.device)
        differs(Aspect::kind, fmt::format("device {}", item.device), fmt::format("device {}", found.st_rdev));
    if (item.kind != ItemKind::symlink) return;
    if (std::string to = read_link(place.folder.get(), place.name.c_str()); to != item.link)
        differs(Aspect::link, printable(item.link), printable(to));
}

void Inspector::compare_attributes(const Place& place, const Item& item, Look& out) const {
    const std::vector<Attribute> wanted = metadata_of(item).attributes;
    const std::vector<Attribute> found = read_attributes({place.folder.get(), place.name.c_str()}).attributes;
    const auto differs = [&](const std::string& name, std::string_view is) {
        out.differences.push_back({item.path, Aspect::attributes, printable(name), std::string(is)});
    };
    for (const Attribute& each : wanted) {
        const auto at = std::ranges::find(found, each.name, &Attribute::name);
        if (at == found.end() || at->value != each.value) differs(each.name, at == found.end() ? "missing" : "differs");
    }
    for (const Attribute& each : found) {
        if (counts(each.name) && std::ranges::find(wanted, each.name, &Attribute::name) == wanted.end())
            differs(each.name, "should not be there");
    }
}

void Inspector::compare_content(const Place& place, const Item& item, const struct stat& found, Look& out) {
    if (item.hard_link != 0) {
        const std::pair<std::uint64_t, std::uint64_t> inode(found.st_dev, found.st_ino);
        const auto [known, is_first] = linked_.try_emplace(item.hard_link, inode);
        if (!is_first && known->second != inode)
            out.differences.push_back({item.path, Aspect::link, "another name of the same file", "a file of its own"});
        // Its content is looked at under the first name.
        if (!is_first && known->second == inode) return;
    }
    if (item.kind != ItemKind::file) return;
    if (static_cast<std::uint64_t>(found.st_size) != item.size) {
        out.differences.push_back(
            {item.path, Aspect::size, fmt::format("{} bytes", item.size), fmt::format("{} bytes", found.st_size)});
        return;
    }
    OpenedFd file = open_in(*cache_, place.folder.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) {
        out.differences.push_back({item.path, Aspect::unreadable, "", errno_text(file.error)});
        return;
    }
    out.file = std::move(file.fd);
}

TreeCount count_tree(const std::string& folder) {
    TreeCount out;
    const auto cache = std::make_shared<FdCache>(open_fds_max);
    const Folder::Pointer top = open_target(cache, folder);
    std::vector<Folder::Pointer> waiting{top};
    while (!waiting.empty()) {
        const Folder::Pointer at = std::move(waiting.back());
        waiting.pop_back();
        const Folder::Open open = at->open();
        Listing listing;
        if (const int error = open ? listing.list(open.get()) : open.error; error != 0)
            throw Error{Code::target_failed, "cannot list {}: {}", at->path(), errno_text(error)};
        for (std::size_t i = 0; i < listing.size(); ++i) {
            const std::string name = listing.name(i);
            if (at == top && name == restore_marker) continue;
            struct stat stat {};
            if (::fstatat(open.get(), name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
            ++out.items;
            if (S_ISREG(stat.st_mode)) out.bytes += static_cast<std::uint64_t>(stat.st_size);
            if (S_ISDIR(stat.st_mode)) waiting.push_back(Folder::below(at, name));
        }
    }
    return out;
}

}  // namespace holdfast
