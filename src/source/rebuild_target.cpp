#include "source/rebuild_target.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "source/attributes.h"
#include "source/listing.h"

namespace holdfast {

namespace {

constexpr std::string_view untouched = "nothing was written to the target";

// Of this process; asking by umask(2) would change it for a moment. 0777, when it cannot be known, only costs
// a chmod.
std::uint32_t current_umask() {
    const auto status = read_file_if_present("/proc/self/status");
    const std::string_view text = status ? as_text(*status) : std::string_view();
    const std::size_t at = text.find("\nUmask:\t");
    if (at == std::string_view::npos) return 0777;
    std::uint32_t mask = 0;
    for (const char c : text.substr(at + 8)) {
        if (c < '0' || c > '7') break;
        mask = mask * 8 + static_cast<std::uint32_t>(c - '0');
    }
    return mask;
}

std::string boot_id() {
    const auto bytes = read_file_if_present("/proc/sys/kernel/random/boot_id");
    return bytes ? std::string(as_text(*bytes)) : "unknown\n";
}

constexpr std::string_view made_line = "the target was made by it\n";

// What tells one restore from another.
std::string name_of_restore(const RebuildRequest& request) {
    std::string out = fmt::format("unfinished restore of snapshot {}\n", request.snapshot_id);
    if (!request.strip.empty()) out += fmt::format("contents of {}\n", printable(request.strip));
    if (!request.selection.empty()) out += fmt::format("selection {}\n", printable(request.selection));
    return out;
}

std::string marker_text(const RebuildRequest& request) {
    return name_of_restore(request) + fmt::format("boot {}", boot_id());
}

void make_with_parents(const std::string& path) {
    for (std::size_t at = 1; at != std::string::npos;) {
        at = path.find('/', at);
        const std::string part = path.substr(0, at);
        if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST)
            throw Error{errno_code(errno, Code::target_failed), "cannot create {}: {}", part, errno_text(errno)}
                .unharmed(std::string(untouched));
        if (at != std::string::npos) ++at;
    }
}

}  // namespace

bool gives_to_new_files(int folder) {
    struct stat stat {};
    return fstat(folder, &stat) != 0 || (stat.st_mode & S_ISGID) != 0 ||
           has_attribute({folder, nullptr}, std::string(acl_default));
}

RebuildTarget::RebuildTarget(const RebuildRequest& request) : path_(request.target), uid_(geteuid()), gid_(getegid()) {
    while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
    if (path_.empty()) throw Error{Code::target_failed, "the restore has no target"}.hint("Name a folder with --to.");
    umask_ = current_umask();
    open_or_make(request.dry_run);
    if (!folder_) return;
    Listing listing;
    if (const int error = listing.list(folder_->open().get()); error != 0) fail("list", error);
    // A file system of its own is empty with this folder.
    listing.keep_if([](std::string_view name, std::uint8_t) { return name != "lost+found"; });
    was_empty_ = listing.size() == 0;
    if (!was_empty_) take_up(request, listing.size() == 1);
    if (request.existing == Existing::refuse && !request.dry_run && !marker_) write_marker(request);
}

void RebuildTarget::open_or_make(bool is_dry_run) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    Fd fd(::open(path_.c_str(), flags));
    if (!fd && errno == ENOENT) {
        was_made_ = true;
        if (is_dry_run) return;
        make_with_parents(path_);
        fd = Fd(::open(path_.c_str(), flags));
    }
    if (!fd && errno == ENOTDIR) {
        throw Error{Code::target_failed, "{} is not a folder", path_}
            .unharmed(std::string(untouched))
            .hint("Name a folder that is empty or does not exist yet.");
    }
    if (!fd) fail("open", errno);
    folder_ = Folder::base(cache_, std::move(fd), path_);
}

// An unfinished restore of the same snapshot goes on, one that wrote nothing gives way; anything else in the target is
// refused, if that was asked for.
void RebuildTarget::take_up(const RebuildRequest& request, bool is_alone) {
    OpenedFd marker =
        open_in(*cache_, folder_->open().get(), restore_marker.data(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!marker) {
        if (request.existing != Existing::refuse) return;
        throw Error{Code::target_failed, "{} is not empty", path_}
            .unharmed(std::string(untouched))
            .hint(
                "Name an empty folder, or give --in-place to write only what differs, or --overwrite to "
                "replace what is in the way.");
    }
    const std::string expected = marker_text(request);
    const std::string name = name_of_restore(request) + "boot ";
    std::string found(expected.size() + 4096, '\0');
    found.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(marker.fd.get(), found.data(), found.size()), 0)));
    if (!found.starts_with(name)) {
        if (request.existing != Existing::refuse) return;
        if (is_alone) {
            was_made_ = found.ends_with(made_line);
            hold(std::move(marker.fd));
            if (!request.dry_run) remove_marker();
            marker_ = {};
            was_empty_ = true;
            return;
        }
        std::string other = found.substr(0, found.find("\nboot "));
        std::ranges::replace(other, '\n', ',');
        throw Error{Code::target_failed, "{} holds something else: {}", path_, printable(other)}
            .unharmed(std::string(untouched))
            .hint("Finish that restore, or name an empty folder.");
    }
    trusts_times_ = found.starts_with(expected);
    was_made_ = found.ends_with(made_line);
    hold(std::move(marker.fd));
}

void RebuildTarget::write_marker(const RebuildRequest& request) {
    const int folder = folder_->open().get();
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    OpenedFd marker = open_in(*cache_, folder, restore_marker.data(), flags, 0600);
    if (!marker) fail("write to", marker.error);
    struct stat stat {};
    if (fstat(marker.fd.get(), &stat) != 0) fail("write to", errno);
    uid_ = stat.st_uid;
    gid_ = stat.st_gid;
    is_plain_ = was_empty_ && !gives_to_new_files(folder);
    const std::string text = marker_text(request) + std::string(was_made_ ? made_line : "");
    if (::write(marker.fd.get(), text.data(), text.size()) != std::ssize(text)) {
        const int error = errno;
        unlinkat(folder, restore_marker.data(), 0);  // one that cannot be read would stop the next try
        fail("write to", error);
    }
    hold(std::move(marker.fd));
}

void RebuildTarget::hold(Fd marker) {
    if (flock(marker.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        throw Error{Code::busy, "another restore is writing to {}", path_}.unharmed(std::string(untouched));
    marker_ = std::move(marker);
}

void RebuildTarget::sync() const {
    if (syncfs(folder_->open().get()) != 0) {
        throw Error{errno_code(errno, Code::target_failed), "cannot write {} to disk: {}", path_, errno_text(errno)}
            .unharmed("all items were written, but some may not be on disk");
    }
}

void RebuildTarget::remove_marker() const {
    if (marker_) unlinkat(folder_->open().get(), restore_marker.data(), 0);
}

void RebuildTarget::fail(std::string_view verb, int error) const {
    throw Error{errno_code(error, Code::target_failed), "cannot {} {}: {}", verb, path_, errno_text(error)}.unharmed(
        std::string(untouched));
}

}  // namespace holdfast
