#include "sources/files/capture.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "source/attributes.h"
#include "source/partial_mark.h"
#include "sources/files/file_data.h"

namespace holdfast::files {

namespace {

Folder::Pointer open_slash(std::shared_ptr<FdCache> cache) {
    Fd fd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) fd = Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) throw Error{Code::source_failed, "cannot open /: {}", errno_text(errno)};
    return Folder::base(std::move(cache), std::move(fd), "/");
}

Folder& folder_of(const Batch& batch) { return *static_cast<Folder*>(batch.handle.get()); }

// Where an item of a batch is found: by its name in the batch's folder, "/" as "." in itself.
const char* name_in_folder(const Item& item) {
    if (item.path.size() == 1) return ".";
    return item.path.c_str() + item.path.rfind('/') + 1;
}

// Grows until it fits: the kernel promises no length.
int read_link(int folder, const char* name, std::string& out) {
    out.resize(256);
    while (true) {
        const ssize_t got = readlinkat(folder, name, out.data(), out.size());
        if (got < 0) return errno;
        if (static_cast<std::size_t>(got) < out.size()) {
            out.resize(static_cast<std::size_t>(got));
            return 0;
        }
        out.resize(out.size() * 4);
    }
}

template <class Record, class Lookup>
std::string look_up(std::uint32_t id, const Lookup& lookup, char* Record::*name) {
    std::vector<char> buffer(4096);
    while (true) {
        Record record{};
        Record* found = nullptr;
        const int error = lookup(id, &record, buffer.data(), buffer.size(), &found);
        if (error != ERANGE) return found != nullptr ? std::string(record.*name) : std::string();
        buffer.resize(buffer.size() * 2);
    }
}

}  // namespace

std::string IdNames::name(std::uint32_t id) {
    {
        const std::shared_lock lock(mutex_);
        if (const auto known = known_.find(id); known != known_.end()) return known->second;
    }
    std::string found = kind_ == Kind::user ? look_up<passwd>(id, getpwuid_r, &passwd::pw_name)
                                            : look_up<group>(id, getgrgid_r, &group::gr_name);
    const std::unique_lock lock(mutex_);
    return known_.emplace(id, std::move(found)).first->second;
}

FilesCapture::FilesCapture(World& world, std::string source, const std::vector<std::string>& paths, WalkOptions options)
    : world_(world),
      source_(std::move(source)),
      paths_(paths),
      options_(std::move(options)),
      slash_(open_slash(cache_)),
      is_root_user_(geteuid() == 0) {
    add_paths();
    if (has_path_) walker_ = std::make_unique<Walker>(slash_, top_, options_, links_, findings_);
}

// Parents come first, so that what lies in another path of the source is seen to.
void FilesCapture::add_paths() {
    std::vector<std::string> sorted = paths_;
    std::ranges::sort(sorted);
    const auto repeated = std::ranges::unique(sorted);
    sorted.erase(repeated.begin(), repeated.end());
    for (const std::string& path : sorted) add_path(path);
}

void FilesCapture::add_path(const std::string& path) {
    Stat stat;
    // A path longer than the kernel takes at once is looked for by the walk.
    if (const int error = stat_at(AT_FDCWD, path.c_str(), stat); error != 0 && error != ENAMETOOLONG) {
        Finding finding = finding_of(path, error);
        if (finding.kind == Finding::Kind::vanished) finding.text = "does not exist";
        findings_.add(std::move(finding));
        return;
    } else if (error == 0 && !has_path_) {
        links_.set_home(device_of(stat));
    }
    tell_of_symlink(path);
    has_path_ = true;
    if (!add_root(top_, path) && !is_reached_without_symlink(path))
        findings_.add({path, Finding::Kind::unsupported,
                       "lies behind a symlink inside another path of this source; give the folder it leads "
                       "to instead"});
}

// Whoever named it may think that what it leads to is backed up.
void FilesCapture::tell_of_symlink(const std::string& path) {
    Stat stat;
    if (stat_at(AT_FDCWD, path.c_str(), stat) != 0 || !S_ISLNK(stat.stx_mode)) return;
    if (stat_following(AT_FDCWD, path.c_str(), stat) != 0 || !is_folder(stat)) return;
    std::error_code failed;
    const std::string folder = std::filesystem::canonical(path, failed).string();
    findings_.add(
        {path, Finding::Kind::unsupported,
         fmt::format("is a symlink, and stored as that; what it leads to is not: make {} a path of the source",
                     failed ? "that folder" : folder)});
}

bool FilesCapture::is_reached_without_symlink(const std::string& path) const {
    Folder::Pointer folder = slash_;
    const std::vector<std::string> names = split(split_path(path).first, '/');
    for (const std::string& name : names) {
        if (!name.empty()) folder = Folder::below(std::move(folder), name, Folder::Access::traverse);
    }
    return static_cast<bool>(folder->open());
}

bool FilesCapture::next(Batch& batch) {
    world_.stop.check();
    return walker_ && walker_->next(batch);
}

std::optional<Finding> FilesCapture::complete(const Batch& batch, Item& item) {
    const Folder::Open folder = folder_of(batch).open();
    if (!folder) return told(item.path, folder.error);
    const char* name = name_in_folder(item);
    if (item.kind == ItemKind::symlink) {
        const int error = read_link(folder.get(), name, item.link);
        if (error != 0) return told(item.path, error == EINVAL ? ENOENT : error);
    }
    AttributeList read = read_attributes({folder.get(), name});
    if (read.error == ENOENT || read.error == ENOTDIR) return told(item.path, read.error);
    if (read.error != 0) {
        const std::string text = fmt::format("extended attributes cannot be read: {}", errno_text(read.error));
        findings_.count(Finding::Kind::unreadable, text, item.path);
    }
    for (const auto& [attribute, error] : read.unread) {
        const std::string text = fmt::format("attribute {} cannot be read: {}", attribute, errno_text(error));
        findings_.count(Finding::Kind::unreadable, text, item.path);
    }
    item.attributes = std::move(read.attributes);
    item.user = users_.name(item.uid);
    item.group = groups_.name(item.gid);
    if (item.kind == ItemKind::folder) mark_wholeness(item, how_captured(folder.get(), name, item));
    return std::nullopt;
}

// What a snapshot does not have of such a folder must not be deleted by a restore.
Wholeness FilesCapture::how_captured(int folder, const char* name, const Item& item) {
    const Within within = within_of(item.path);
    if (!within.is_whole) return Wholeness::leading;
    if (!is_root_user_ && faccessat(folder, name, R_OK | X_OK, AT_EACCESS) != 0) return Wholeness::in_part;
    if (!treats_folders(options_) && !options_.one_file_system) return Wholeness::whole;
    const OpenedFd inside = open_in(*cache_, folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!inside || leaves_out_names(*cache_, inside.fd.get(), item.path, options_)) return Wholeness::in_part;
    if (!options_.one_file_system || within.given == item.path) return Wholeness::whole;
    Stat own, above;
    const bool is_elsewhere =
        stat_open(inside.fd.get(), own) == 0 && stat_open(folder, above) == 0 && device_of(own) != device_of(above);
    // On the way to a path that lies on another file system, the folder above may be of that one already.
    const bool leads_away = within.leads_on && (stat_at(AT_FDCWD, std::string(within.given).c_str(), above) != 0 ||
                                                device_of(own) != device_of(above));
    return is_elsewhere || leads_away ? Wholeness::in_part : Wholeness::whole;
}

FilesCapture::Within FilesCapture::within_of(std::string_view path) const {
    const Root* root = &top_;
    Within out{root->whole, root->given ? "/" : "", false};
    for (std::size_t at = 1; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        const auto child = root->children.find(path.substr(at, end - at));
        if (child == root->children.end()) return out;
        root = child->second.get();
        out.is_whole = root->whole;
        if (root->given) out.given = path.substr(0, end);
        at = end + 1;
    }
    out.leads_on = !root->children.empty();
    return out;
}

Capture::Opened FilesCapture::open(const Batch& batch, const Batch::Entry& entry) {
    const std::string& path = entry.item.path;
    const Folder::Open folder = folder_of(batch).open();
    if (!folder) return {nullptr, told(path, folder.error)};
    // O_NONBLOCK: opening what has become a fifo meanwhile must not wait for a writer.
    OpenedFd file = open_in(*cache_, folder.get(), name_in_folder(entry.item), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return {nullptr, told(path, file.error)};
    Stat stat;
    if (const int error = stat_open(file.fd.get(), stat); error != 0) return {nullptr, told(path, error)};
    if (!is_file(stat)) {
        Finding finding{path, Finding::Kind::vanished, "is no file any more"};
        return {nullptr, std::move(finding)};
    }
    const bool is_sparse = entry.expected_bytes < entry.item.size;
    // Where the version is not known, what tells a change since then is what the item says.
    const Item& item = entry.item;
    const bool is_as_listed =
        stat.stx_size == item.size && stat.stx_mtime.tv_sec == item.mtime_s && stat.stx_mtime.tv_nsec == item.mtime_ns;
    std::string version = !entry.version.empty() ? entry.version : is_as_listed ? version_of(stat, 0) : "";
    return {std::make_unique<FileData>(std::move(file.fd), path, item.size, is_sparse, std::move(version)),
            std::nullopt};
}

// The walk may meet the same trouble; it is told once.
Finding FilesCapture::told(std::string path, int error) {
    const std::lock_guard lock(told_mutex_);
    told_.insert(path);
    return finding_of(std::move(path), error);
}

CaptureSummary FilesCapture::finish() {
    const bool has_some = walker_ && walker_->roots_found() > 0;
    CaptureSummary summary;
    if (walker_) summary.left_out = walker_->take_left_out();
    walker_.reset();
    summary.findings = findings_.take();
    if (!has_some) {
        throw Error{Code::source_failed, "source {} has nothing to capture: {} cannot be found", source_,
                    join(paths_, ", ")}
            .hint("Correct the paths of the source, or mount what is missing.");
    }
    const std::lock_guard lock(told_mutex_);
    std::erase_if(summary.findings, [&](const Finding& finding) { return told_.contains(finding.path); });
    return summary;
}

}  // namespace holdfast::files
