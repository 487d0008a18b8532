#include "source/folder_rebuild.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "source/rebuild_file.h"
#include "source/rebuild_links.h"

namespace holdfast {

namespace {

// A snapshot whose paths lead out of the target was not made by us.
void check_path(const Item& item, std::string_view path) {
    const auto is_bad = [](std::string_view name) {
        return name.empty() || name == "." || name == ".." || name.find('\0') != std::string_view::npos;
    };
    for (std::size_t at = 0; at <= path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (is_bad(path.substr(at, end - at))) {
            throw Error{Code::corrupt, "the snapshot has an item whose path is no path: {}", printable(item.path)}
                .unharmed("nothing was written outside the target");
        }
        at = end + 1;
    }
}

unsigned type_of(ItemKind kind) {
    switch (kind) {
        case ItemKind::file:
            return S_IFREG;
        case ItemKind::folder:
            return S_IFDIR;
        case ItemKind::symlink:
            return S_IFLNK;
        case ItemKind::fifo:
            return S_IFIFO;
        case ItemKind::socket:
            return S_IFSOCK;
        case ItemKind::char_device:
            return S_IFCHR;
        case ItemKind::block_device:
            return S_IFBLK;
    }
    return 0;
}

constexpr std::uint64_t copied_at_once_max = 1024 * 1024;

bool has_time(const struct stat& stat, const Item& item) {
    return stat.st_mtim.tv_sec == item.mtime_s && stat.st_mtim.tv_nsec == std::int64_t{item.mtime_ns};
}

class FolderRebuild final : public Rebuild {
public:
    explicit FolderRebuild(const RebuildRequest& request) : context_(request), folders_(context_), links_(context_) {}

    Ticket begin_item(const Item& item) override;
    void write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) override;
    void end_item(const Ticket& ticket) override;
    void abandon_item(const Ticket& ticket, const Finding& finding) override;
    Summary finish() override;

private:
    // Where an item goes. The folder is held open meanwhile; fd is -1 in a dry run that would make the
    // folder.
    struct Place {
        TargetFolderPointer folder;
        std::string name;
        Folder::Open open;
        int fd() const { return open ? open.get() : -1; }
    };
    struct OpenFile {
        std::shared_ptr<RebuildFile> file;
        std::uint64_t hard_link = 0;
    };
    enum class Found : std::uint8_t { nothing, same, differs, to_replace, in_the_way };

    Ticket begin_file(const Place& place, const Item& item);
    Found find_file(const Place& place, const Item& item, struct stat& found);
    static RebuildFile::Way way_to(Found found);
    bool is_linked(const Place& place, const Item& item);
    void link_waiting(std::uint64_t hard_link);
    void lose_waiting(std::uint64_t hard_link);
    void copy_content(const Place& place, const Item& item);
    void make_special(const Place& place, const Item& item);
    Found find_special(const Place& place, const Item& item, struct stat& found);
    Found removed(const Place& place, const Item& item);
    bool fix_metadata(const Place& place, const Item& item, const struct stat& found);
    void end_file(const OpenFile& open);
    OpenFile take(const Ticket& ticket);

    RebuildContext context_;
    RebuildFolders folders_;
    RebuildLinks links_;
    std::mutex mutex_;
    // guarded by mutex_
    std::uint64_t last_number_ = 0;
    std::unordered_map<std::uint64_t, OpenFile> files_;
};

Rebuild::Ticket FolderRebuild::begin_item(const Item& item) {
    context_.request.world.stop.check();
    const auto path = path_below_target(item, context_.request.strip);
    if (!path) return {};
    if (path->empty()) {
        folders_.set_top(item);
        return {};
    }
    check_path(item, *path);
    const auto [above, name] = split_path(*path);
    const TargetFolderPointer& folder = folders_.enter(above);
    if (above.empty() && name == restore_marker) {
        context_.findings.add(
            {item.path, Finding::Kind::unsupported, "is the name of the mark of an unfinished restore"});
        return {};
    }
    if (context_.request.may_delete) folder->names.emplace_back(name);
    if (folder->is_blocked) {
        context_.findings.count(Finding::Kind::unsupported, "is in a folder that cannot be made", item.path);
        return {};
    }
    if (item.kind == ItemKind::folder) {
        folders_.make(folder, std::string(name), item);
        return {};
    }
    Place place{folder, std::string(name), {}};
    if (folder->folder) {
        place.open = folder->folder->open();
        if (!place.open) {
            context_.failed("open the folder of", item.path, place.open.error);
            return {};
        }
    }
    if (item.hard_link != 0 && is_linked(place, item)) return {};
    if (item.kind == ItemKind::file) return begin_file(place, item);
    make_special(place, item);
    return {};
}

bool FolderRebuild::is_linked(const Place& place, const Item& item) {
    folders_.hold(*place.folder);  // before somebody may release it
    const RebuildLinks::Outcome outcome = links_.link({place.folder, place.name, item});
    if (outcome != RebuildLinks::Outcome::waits) folders_.release(place.folder);
    return outcome != RebuildLinks::Outcome::is_first;
}

void FolderRebuild::link_waiting(std::uint64_t hard_link) {
    for (const RebuildLinks::Further& further : links_.complete(hard_link)) {
        Place place{further.folder, further.name, further.folder->folder->open()};
        if (!place.open)
            context_.failed("open the folder of", further.item.path, place.open.error);
        else if (links_.link(further) == RebuildLinks::Outcome::is_first)
            copy_content(place, further.item);
        folders_.release(further.folder);
    }
}

void FolderRebuild::lose_waiting(std::uint64_t hard_link) {
    for (const RebuildLinks::Further& further : links_.lose(hard_link)) folders_.release(further.folder);
}

// Of a name that cannot be a link.
void FolderRebuild::copy_content(const Place& place, const Item& item) {
    struct stat found {};
    const Found is = find_file(place, item, found);
    if (is == Found::in_the_way) return;
    if (is == Found::same) return context_.count(fix_metadata(place, item, found));
    const OpenedFd from = links_.open(item.hard_link);
    if (!from) return context_.failed("copy", item.path, from.error);
    RebuildFile file(context_, place.folder, place.name, item, way_to(is));
    Bytes buffer(std::min<std::uint64_t>(item.size, copied_at_once_max));
    for (std::uint64_t at = 0; at < item.size;) {
        const ssize_t got = ::pread(from.fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            file.abandon();
            return context_.failed("copy", item.path, got < 0 ? errno : EIO);
        }
        file.write(at, ByteView(buffer).first(static_cast<std::size_t>(got)));
        at += static_cast<std::uint64_t>(got);
    }
    if (file.end())
        context_.count(true);
    else
        file.abandon();
}

RebuildFile::Way FolderRebuild::way_to(Found found) {
    switch (found) {
        case Found::differs:
            return RebuildFile::Way::update;
        case Found::to_replace:
            return RebuildFile::Way::replace;
        default:
            return RebuildFile::Way::make;
    }
}

Rebuild::Ticket FolderRebuild::begin_file(const Place& place, const Item& item) {
    struct stat found {};
    const Found is = find_file(place, item, found);
    if (is == Found::in_the_way) return {};
    if (is == Found::same || context_.request.dry_run) {
        context_.count(is != Found::same || fix_metadata(place, item, found));
        if (item.hard_link != 0) links_.add(place.folder->folder, place.name, item, true);
        return {};
    }
    OpenFile open{std::make_shared<RebuildFile>(context_, place.folder, place.name, item, way_to(is)), item.hard_link};
    if (item.hard_link != 0) {
        if (!open.file->create()) return {};
        links_.add(place.folder->folder, place.name, item, false);
    }
    folders_.hold(*place.folder);
    if (item.size == 0) {
        end_file(open);
        return {};
    }
    const std::lock_guard lock(mutex_);
    files_.emplace(++last_number_, std::move(open));
    return {last_number_, true};
}

FolderRebuild::Found FolderRebuild::find_file(const Place& place, const Item& item, struct stat& found) {
    if (!place.folder->existed) return Found::nothing;
    if (fstatat(place.fd(), place.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return Found::nothing;
        context_.failed("stat", item.path, errno);
        return Found::in_the_way;
    }
    if (!S_ISREG(found.st_mode)) {
        const bool cleared = context_.clear_way(place.folder->folder, place.name, item.path, found.st_mode);
        return cleared ? Found::nothing : Found::in_the_way;
    }
    if (context_.request.existing == Existing::overwrite) return Found::to_replace;
    // Writing to a file that has other names would change what they stand for.
    const bool links_are_right = found.st_nlink == 1 || item.hard_link != 0;
    const bool has_size = static_cast<std::uint64_t>(found.st_size) == item.size;
    if (context_.target.trusts_times() && has_size && has_time(found, item) && links_are_right) return Found::same;
    return found.st_nlink > 1 ? Found::to_replace : Found::differs;
}

FolderRebuild::Found FolderRebuild::removed(const Place& place, const Item& item) {
    if (context_.request.dry_run || unlinkat(place.fd(), place.name.c_str(), 0) == 0 || errno == ENOENT)
        return Found::nothing;
    context_.failed("replace", item.path, errno);
    return Found::in_the_way;
}

bool FolderRebuild::fix_metadata(const Place& place, const Item& item, const struct stat& found) {
    const Metadata wanted = metadata_of(item);
    Present present = present_of(found);
    present.has_times = has_time(found, item);
    if (context_.request.dry_run) return differs(wanted, present);
    const PathMaker path = [&] { return item.path; };
    if (item.kind != ItemKind::file)
        return context_.metadata.set_by_name(place.fd(), place.name.c_str(), item.kind, wanted, present, path);
    const bool is_equal =
        !differs(wanted, present) && read_attributes({place.fd(), place.name.c_str()}).attributes == wanted.attributes;
    if (is_equal) return false;
    const OpenedFd file =
        open_in(context_.target.cache(), place.fd(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (file) return context_.metadata.set(file.fd.get(), wanted, present, path);
    context_.failed("open", item.path, file.error);
    return false;
}

// Symlinks, devices, fifos and sockets.
void FolderRebuild::make_special(const Place& place, const Item& item) {
    struct stat found {};
    const Found is = find_special(place, item, found);
    if (is == Found::in_the_way) return;
    if (is == Found::same || context_.request.dry_run) {
        context_.count(is != Found::same || fix_metadata(place, item, found));
    } else {
        const int made = item.kind == ItemKind::symlink
                             ? symlinkat(item.link.c_str(), place.fd(), place.name.c_str())
                             : mknodat(place.fd(), place.name.c_str(), type_of(item.kind) | 0600, item.device);
        if (made != 0) {
            if (errno != EPERM) return context_.failed("create", item.path, errno);
            const std::string text = fmt::format("cannot create a {}: {}", name_of(item.kind), errno_text(errno));
            return context_.findings.count(Finding::Kind::unsupported, text, item.path);
        }
        Present present{.mode = 0600 & ~context_.target.umask(),
                        .uid = context_.target.uid(),
                        .gid = context_.target.gid(),
                        .is_new = true};
        if (!place.folder->is_plain && fstatat(place.fd(), place.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0)
            present = present_of(found);
        context_.metadata.set_by_name(place.fd(), place.name.c_str(), item.kind, metadata_of(item), present,
                                      [&] { return item.path; });
        context_.count(true);
    }
    if (item.hard_link != 0) links_.add(place.folder->folder, place.name, item, true);
}

FolderRebuild::Found FolderRebuild::find_special(const Place& place, const Item& item, struct stat& found) {
    if (!place.folder->existed) return Found::nothing;
    if (fstatat(place.fd(), place.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return Found::nothing;
    if ((found.st_mode & S_IFMT) != type_of(item.kind)) {
        const bool cleared = context_.clear_way(place.folder->folder, place.name, item.path, found.st_mode);
        return cleared ? Found::nothing : Found::in_the_way;
    }
    bool is_same = found.st_nlink == 1 || item.hard_link != 0;
    if (item.kind == ItemKind::symlink) {
        std::string link(item.link.size() + 1, '\0');
        const ssize_t got = readlinkat(place.fd(), place.name.c_str(), link.data(), link.size());
        is_same = is_same && got == std::ssize(item.link) && link.starts_with(item.link);
    } else if (item.kind == ItemKind::char_device || item.kind == ItemKind::block_device) {
        is_same = is_same && found.st_rdev == item.device;
    }
    return is_same ? Found::same : removed(place, item);
}

void FolderRebuild::write(const Ticket& ticket, std::uint64_t offset, ByteView bytes) {
    std::shared_ptr<RebuildFile> file;
    {
        const std::lock_guard lock(mutex_);
        const auto found = files_.find(ticket.number);
        HF_ASSERT(found != files_.end());
        file = found->second.file;
    }
    file->write(offset, bytes);
}

void FolderRebuild::end_item(const Ticket& ticket) {
    if (const OpenFile open = take(ticket); open.file) end_file(open);
}

void FolderRebuild::end_file(const OpenFile& open) {
    if (open.file->end()) {
        context_.count(true);
        if (open.hard_link != 0) link_waiting(open.hard_link);
    } else {
        open.file->abandon();
        if (open.hard_link != 0) lose_waiting(open.hard_link);
    }
    folders_.release(open.file->folder());
}

void FolderRebuild::abandon_item(const Ticket& ticket, const Finding& finding) {
    const OpenFile open = take(ticket);
    Finding told = finding;
    if (const auto overwritten = open.file ? open.file->abandon() : std::nullopt)
        told.text += fmt::format("; the file that was there stays, {} of its bytes were overwritten", *overwritten);
    context_.findings.add(std::move(told));
    if (!open.file) return;
    if (open.hard_link != 0) lose_waiting(open.hard_link);
    folders_.release(open.file->folder());
}

FolderRebuild::OpenFile FolderRebuild::take(const Ticket& ticket) {
    const std::lock_guard lock(mutex_);
    const auto node = files_.extract(ticket.number);
    return node ? std::move(node.mapped()) : OpenFile{};
}

Rebuild::Summary FolderRebuild::finish() {
    HF_ASSERT(files_.empty());
    folders_.leave_all();
    folders_.remove_others();
    if (context_.request.sync && !context_.request.dry_run) context_.target.sync();
    if (!context_.request.dry_run) context_.target.remove_marker();
    folders_.finish_top();
    return {context_.items_written, context_.items_unchanged, context_.items_deleted, context_.findings.take()};
}

}  // namespace

std::optional<std::string_view> path_below_target(const Item& item, std::string_view strip) {
    std::string_view path = item.path;
    if (!strip.empty() && strip != "/") {
        if (!is_within(path, strip)) return std::nullopt;
        // One file instead of a folder keeps its name.
        path = path == strip && item.kind != ItemKind::folder ? split_path(path).second : path.substr(strip.size());
    }
    while (path.starts_with('/')) path.remove_prefix(1);
    return path;
}

std::unique_ptr<Rebuild> rebuild_into_folder(const RebuildRequest& request) {
    return std::make_unique<FolderRebuild>(request);
}

}  // namespace holdfast
