#include "stores/local/local_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "stores/local/file_calls.h"
#include "stores/local/file_system.h"

namespace holdfast {

namespace {

constexpr std::size_t large_bytes_min = 1024 * 1024;
constexpr Nanoseconds leftover_age_min = 24 * 3600 * one_second;

bool is_absent(int number) { return number == ENOENT || number == ENOTDIR; }

// What a way of naming cannot do on this file system, as opposed to what went wrong.
bool means_cannot(int number) {
    return number == EPERM || number == EOPNOTSUPP || number == ENOSYS || number == EINVAL || number == EISDIR ||
           number == EXDEV || number == ENOENT;
}

Nanoseconds time_of(const struct stat& info) {
    return static_cast<Nanoseconds>(info.st_mtim.tv_sec) * one_second + info.st_mtim.tv_nsec;
}

}  // namespace

// Bytes that have no object's name yet; they go with the draft.
struct LocalStore::Draft {
    Draft() = default;
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    ~Draft() {
        if (!name.empty()) ::unlinkat(temporaries->get(), name.c_str(), 0);
    }

    // 0 or errno.
    int give_name(Naming naming, const Fd& folder, const std::string& leaf) {
        int failure = 0;
        if (naming == Naming::link_unnamed) {
            const std::string self = "/proc/self/fd/" + std::to_string(file.get());
            failure = ::linkat(AT_FDCWD, self.c_str(), folder.get(), leaf.c_str(), AT_SYMLINK_FOLLOW);
        } else if (naming == Naming::link_named) {
            failure = ::linkat(temporaries->get(), name.c_str(), folder.get(), leaf.c_str(), 0);
        } else {
            failure = ::renameat2(temporaries->get(), name.c_str(), folder.get(), leaf.c_str(), RENAME_NOREPLACE);
        }
        if (failure == 0) return 0;
        const int number = errno;
        return has_name(folder, leaf) ? 0 : number;
    }

    // NFS repeats a call whose reply was lost, and then its own success is in its way.
    bool has_name(const Fd& folder, const std::string& leaf) const {
        struct stat mine {};
        struct stat there {};
        return ::fstat(file.get(), &mine) == 0 &&
               ::fstatat(folder.get(), leaf.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && mine.st_dev == there.st_dev &&
               mine.st_ino == there.st_ino;
    }

    Fd file;
    SharedFd temporaries;
    std::string name;  // in temporaries; empty when the file has none
};

LocalStore::LocalStore(const std::string& path, Open open, Naming naming) : path_(path), naming_(naming) {
    if (open == Open::create && !exists(path)) {
        if (const int failure = make_folders(AT_FDCWD, path, folder_mode_)) fail("create", "", failure);
    }
    root_ = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_ && open == Open::existing && is_absent(errno)) {
        throw Error{Code::no_repository, "cannot open {}: {}", path, errno_text(errno)}.hint(
            "Check the path, or make a repository there with `holdfast init`.");
    }
    if (!root_) fail("open", "", errno);
    struct statfs on {};
    struct stat info {};
    if (::fstatfs(root_.get(), &on) != 0 || ::fstat(root_.get(), &info) != 0) fail("look at", "", errno);
    const FileSystem& file_system = file_system_of(static_cast<std::uint64_t>(on.f_type) & 0xffffffff);
    if (file_system.is_refused)
        throw Error{Code::usage, "{} is on an {} share, which does not keep what a store must promise", path,
                    file_system.name}
            .hint("Mount the share by NFS, or run holdfast on the machine that has the disk.");
    traits_.read_after_write_list = file_system.lists_at_once;
    writes_directly_ = file_system.writes_directly;
    // A folder that its group may write to is shared by that group; else it is its owner's alone.
    if ((info.st_mode & S_IWGRP) != 0) {
        folder_mode_ = 0770;
        file_mode_ = 0440;
    }
    std::error_code ignored;
    if (const auto canonical = std::filesystem::canonical(path, ignored); !ignored) path_ = canonical.string();
    draft_prefix_ = to_hex(system_random().array<8>()) + "-";
    remove_leftovers();
}

bool LocalStore::exists(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Created LocalStore::create(std::string_view name, ByteView bytes) {
    const Place place = place_of(name);
    bool folders_are_fresh = false;
    while (true) {
        const SharedFd folder = folder_for_writing(place.folder);
        Naming naming = naming_;
        Draft draft;
        int failure = write_draft(draft, naming, *folder, bytes);
        if (failure == 0) failure = draft.give_name(naming, *folder, place.leaf);
        if (failure == 0 || failure == EEXIST) {
            if (const int sync_failure = sync_folder(*folder)) fail("sync the folder of", place.path(), sync_failure);
            return failure == 0 ? Created::created : Created::exists;
        }
        if (failure == ENOENT && !folders_are_fresh) {
            folders_.clear();  // somebody may have removed one that it holds
            folders_are_fresh = true;
        } else if (naming != Naming::rename_named && means_cannot(failure)) {
            naming_.compare_exchange_strong(naming, static_cast<Naming>(static_cast<int>(naming) + 1));
        } else if (failure == EINVAL || failure == EOPNOTSUPP || failure == ENOSYS) {
            throw Error{Code::usage, "{} is on a file system that cannot create a file only if it is absent", path_}
                .hint("It has neither hard links nor a rename that replaces nothing. Choose another place.");
        } else {
            fail("create", place.path(), failure);
        }
    }
}

SharedFd LocalStore::folder_for_writing(const std::string& folder) {
    if (SharedFd known = folders_.find(folder)) return known;
    const std::string path = folder.empty() ? "." : folder;
    const auto open = [&] { return Fd(::openat(root_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); };
    Fd fd = open();
    if (!fd && errno == ENOENT) {
        if (const int failure = make_folders(root_.get(), path, folder_mode_)) fail("create", folder, failure);
        fd = open();
    }
    if (!fd) fail("open", folder, errno);
    return folders_.add(folder, std::move(fd));
}

// 0 or errno, as the next.
int LocalStore::write_draft(Draft& draft, Naming naming, const Fd& folder, ByteView bytes) {
    if (const int failure = open_draft(draft, naming, folder)) return failure;
    const bool is_large = bytes.size() >= large_bytes_min;
    // One extent, and a full disk shows before the bytes are copied; done without where it is not known.
    if (is_large && ::fallocate(draft.file.get(), 0, 0, static_cast<off_t>(bytes.size())) != 0 &&
        code_of(errno) == Code::no_space)
        return errno;
    const int failure =
        is_large && writes_directly_ ? write_bytes_directly(draft.file, bytes) : write_bytes(draft.file, bytes);
    if (failure != 0) return failure;
    return ::fdatasync(draft.file.get()) == 0 ? 0 : errno;
}

int LocalStore::open_draft(Draft& draft, Naming naming, const Fd& folder) {
    if (naming == Naming::link_unnamed) {
        draft.file = Fd(::openat(folder.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, file_mode_));
    } else {
        draft.temporaries = folder_for_writing(std::string(temporary_folder));
        const std::string name = draft_prefix_ + std::to_string(drafts_++);
        draft.file =
            Fd(::openat(draft.temporaries->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode_));
        if (draft.file) draft.name = name;
    }
    return draft.file ? 0 : errno;
}

// Nothing when no object is there.
std::optional<Fd> LocalStore::open_object(const std::string& file) const {
    // Not to wait should it be a fifo.
    Fd fd(::openat(root_.get(), file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd && is_absent(errno)) return std::nullopt;
    if (!fd && errno == ELOOP) fail_not_a_file(file);
    if (!fd) fail("open", file, errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) fail("look at", file, errno);
    if (S_ISDIR(info.st_mode)) return std::nullopt;
    if (!S_ISREG(info.st_mode)) fail_not_a_file(file);
    return fd;
}

std::optional<Bytes> LocalStore::read(std::string_view name) {
    const std::string file = place_of(name).path();
    const auto fd = open_object(file);
    if (!fd) return std::nullopt;
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) fail("look at", file, errno);
    Bytes out(static_cast<std::size_t>(info.st_size));
    if (const int failure = read_bytes(*fd, 0, out)) fail("read", file, failure);
    return out;
}

std::optional<Bytes> LocalStore::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    const std::string file = place_of(name).path();
    SharedFd fd = files_.find(file);
    struct stat info {};
    // An open file outlives its name; what was removed, by whomever, is absent.
    if (!fd || ::fstat(fd->get(), &info) != 0 || info.st_nlink == 0) {
        files_.erase(file);
        auto opened = open_object(file);
        if (!opened) return std::nullopt;
        fd = files_.add(file, std::move(*opened));
        if (::fstat(fd->get(), &info) != 0) fail("look at", file, errno);
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    Bytes out(static_cast<std::size_t>(offset >= size ? 0 : std::min<std::uint64_t>(bytes, size - offset)));
    if (const int failure = read_bytes(*fd, offset, out)) fail("read", file, failure);
    return out;
}

std::optional<ObjectInfo> LocalStore::find(std::string_view name) {
    const std::string file = place_of(name).path();
    struct stat info {};
    if (::fstatat(root_.get(), file.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (is_absent(errno)) return std::nullopt;
        fail("look at", file, errno);
    }
    if (S_ISDIR(info.st_mode)) return std::nullopt;
    if (!S_ISREG(info.st_mode)) fail_not_a_file(file);
    return ObjectInfo{std::string(name), static_cast<std::uint64_t>(info.st_size), time_of(info)};
}

void LocalStore::list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) {
    // The folder that the prefix names in full spares the walk from the root.
    const std::size_t slash = prefix.rfind('/');
    const std::string_view folder = slash == std::string_view::npos ? "" : prefix.substr(0, slash);
    if (!folder.empty() && !is_object_name(folder)) return;
    list_folder(std::string(folder), prefix, each);
}

void LocalStore::list_folder(const std::string& folder, std::string_view prefix,
                             const std::function<void(const ObjectInfo&)>& each) {
    std::vector<Entry> entries;
    if (const int failure = read_folder(root_.get(), folder, entries)) {
        if (is_absent(failure) || failure == ELOOP) return;
        fail("list", folder, failure);
    }
    for (const Entry& entry : entries) {
        const std::string file = Place{folder, entry.leaf}.path();
        const auto name = name_at(folder, entry.leaf);
        const bool wanted = name && name->starts_with(prefix);
        const bool enters = entry.type != DT_REG && is_object_name(file) && may_hold(file, prefix);
        if (!wanted && !enters) continue;
        struct stat info {};
        if (::fstatat(root_.get(), file.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            if (is_absent(errno)) continue;
            fail("look at", file, errno);
        }
        if (wanted && S_ISREG(info.st_mode)) each({*name, static_cast<std::uint64_t>(info.st_size), time_of(info)});
        if (enters && S_ISDIR(info.st_mode)) list_folder(file, prefix, each);
    }
}

void LocalStore::remove(std::string_view name) {
    const std::string file = place_of(name).path();
    const int failure = ::unlinkat(root_.get(), file.c_str(), 0) == 0 ? 0 : errno;
    files_.erase(file);
    if (failure != 0 && !is_absent(failure) && failure != EISDIR) fail("remove", file, failure);
}

std::optional<std::uint64_t> LocalStore::bytes_free() {
    struct statvfs info {};
    if (::fstatvfs(root_.get(), &info) != 0) fail("look at", "", errno);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

// Of processes that died while they wrote. They harm nobody, so neither does it if this fails.
void LocalStore::remove_leftovers() const {
    std::vector<Entry> entries;
    if (read_folder(root_.get(), std::string(temporary_folder), entries) != 0) return;
    const Nanoseconds now = system_clock().now();
    for (const Entry& entry : entries) {
        const std::string file = Place{std::string(temporary_folder), entry.leaf}.path();
        struct stat info {};
        if (::fstatat(root_.get(), file.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (now - time_of(info) > leftover_age_min) ::unlinkat(root_.get(), file.c_str(), 0);
    }
}

void LocalStore::fail(std::string_view verb, std::string_view file, int number) const {
    const Code code = code_of(number);
    Error error{code, "cannot {} {}{}{}: {}", verb, path_, file.empty() ? "" : "/", file, errno_text(number)};
    if (code == Code::denied)
        error.set_hint("The user that runs holdfast needs the right to do this in the store's folder.");
    if (code == Code::no_space)
        error.set_hint("Make room on the store's file system, or let `holdfast forget` and `prune` do it.");
    throw error;
}

void LocalStore::fail_not_a_file(std::string_view file) const {
    throw Error{Code::corrupt, "{}/{} is not a plain file, so not what holdfast wrote", path_, file};
}

}  // namespace holdfast
