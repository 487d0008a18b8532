#define FUSE_USE_VERSION 35
#include "mount/mount.h"

#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "mount/layout.h"

namespace holdfast::mount {

namespace {

mode_t type_of(ItemKind kind) {
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
    return S_IFREG;
}

struct stat stat_of(const Item& item) {
    struct stat out {};
    out.st_mode = type_of(item.kind) | item.mode;
    out.st_uid = item.uid;
    out.st_gid = item.gid;
    out.st_nlink = 1;
    out.st_size = static_cast<off_t>(item.kind == ItemKind::symlink ? item.link.size() : item.size);
    out.st_blocks = (out.st_size + 511) / 512;
    out.st_rdev = item.device;
    out.st_mtim = {item.mtime_s, static_cast<long>(item.mtime_ns)};
    out.st_ctim = out.st_atim = out.st_mtim;
    return out;
}

constexpr unsigned read_ahead_bytes = 2 * 1024 * 1024;

// The device of what lies at a path, without asking whoever serves it.
std::optional<dev_t> device_of(const std::string& path) {
    struct statx out {};
    if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, 0, &out) != 0) return std::nullopt;
    return makedev(out.stx_dev_major, out.stx_dev_minor);
}

// The kernel asks for 128 KB at a time, whatever the connection offers, until its own setting says more. Only root can
// change that; it is as correct without, and slower.
void read_further_ahead(dev_t device) {
    std::ofstream setting(fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", major(device), minor(device)));
    setting << read_ahead_bytes / 1024;
}

// What a callback works on. libfuse hands it back through its context.
class FileSystem {
public:
    FileSystem(repo::Repository& repository, const MountRequest& request)
        : repository_(repository), layout_(repository, request), cache_(repository) {}
    static FileSystem& here() { return *static_cast<FileSystem*>(fuse_get_context()->private_data); }

    int get_attributes(std::string_view path, struct stat* out) {
        const auto node = layout_.find(path);
        if (!node) return -ENOENT;
        *out = stat_of(node->item);
        return 0;
    }
    int read_folder(std::string_view path, void* into, fuse_fill_dir_t fill) {
        const auto node = layout_.find(path);
        if (!node) return -ENOENT;
        if (node->item.kind != ItemKind::folder) return -ENOTDIR;
        const auto give = [&](const std::string& name, const Item& item) {
            const struct stat stat = stat_of(item);
            fill(into, name.c_str(), &stat, 0, FUSE_FILL_DIR_PLUS);
        };
        give(".", node->item);
        give("..", node->item);
        layout_.list(*node, give);
        return 0;
    }
    int read_link(std::string_view path, char* into, std::size_t size) {
        const auto node = layout_.find(path);
        if (!node) return -ENOENT;
        if (node->item.kind != ItemKind::symlink || size == 0) return -EINVAL;
        const std::size_t count = std::min(node->item.link.size(), size - 1);
        std::copy_n(node->item.link.data(), count, into);
        into[count] = '\0';
        return 0;
    }
    int open(std::string_view path, fuse_file_info* info) {
        if ((info->flags & O_ACCMODE) != O_RDONLY) return -EROFS;
        auto entry = layout_.entry(path);
        if (!entry) return -ENOENT;
        if (entry->item.kind != ItemKind::file) return -EINVAL;
        auto item = std::make_unique<engine::OpenedItem>(cache_, std::move(*entry));
        info->fh = reinterpret_cast<std::uintptr_t>(item.get());
        info->keep_cache = 1;
        const std::lock_guard lock(mutex_);
        opened_.emplace(item.get(), std::move(item));
        return 0;
    }
    int read(const fuse_file_info* info, char* into, std::size_t size, off_t offset) {
        return static_cast<int>(
            opened(info)->read(static_cast<std::uint64_t>(offset), {reinterpret_cast<std::uint8_t*>(into), size}));
    }
    void release(const fuse_file_info* info) {
        const std::lock_guard lock(mutex_);
        opened_.erase(opened(info));
    }
    int list_attributes(std::string_view path, char* into, std::size_t size) {
        const auto node = layout_.find(path);
        if (!node) return -ENOENT;
        std::string names;
        for (const Attribute& attribute : attributes(path)) names += attribute.name + '\0';
        return hand_out(names, into, size);
    }
    int get_attribute(std::string_view path, std::string_view name, char* into, std::size_t size) {
        for (const Attribute& attribute : attributes(path))
            if (attribute.name == name) return hand_out(attribute.value, into, size);
        return -ENODATA;
    }
    void warn(const std::string& text) { repository_.world().log.warning(text); }

    std::function<void()> mounted;

private:
    static engine::OpenedItem* opened(const fuse_file_info* info) {
        return reinterpret_cast<engine::OpenedItem*>(static_cast<std::uintptr_t>(info->fh));
    }
    static int hand_out(std::string_view value, char* into, std::size_t size) {
        if (size == 0) return static_cast<int>(value.size());
        if (value.size() > size) return -ERANGE;
        std::ranges::copy(value, into);
        return static_cast<int>(value.size());
    }
    // ACLs are left out: the kernel would enforce them against the users of this machine.
    std::vector<Attribute> attributes(std::string_view path) {
        const auto node = layout_.find(path);
        std::vector<Attribute> out;
        if (node)
            std::ranges::copy_if(node->item.attributes, std::back_inserter(out), [](const Attribute& attribute) {
                return attribute.name.starts_with("user.") || attribute.name == "security.capability";
            });
        return out;
    }

    repo::Repository& repository_;
    Layout layout_;
    engine::ChunkCache cache_;
    std::mutex mutex_;
    // Guarded by mutex_. What is still open when the mount ends is never released by the kernel.
    std::map<const engine::OpenedItem*, std::unique_ptr<engine::OpenedItem>> opened_;
};

// No exception may pass through libfuse.
template <class Work>
int guarded(const char* path, Work work) {
    try {
        return work(FileSystem::here());
    } catch (const std::exception&) {
        const Error error = as_error(std::current_exception());
        FileSystem::here().warn(fmt::format("{}: {}", printable(path == nullptr ? "" : path), error.message()));
        return -EIO;
    }
}

void* on_init(fuse_conn_info* connection, fuse_config* config) {
    // What was committed never changes, so the kernel may keep all it has seen.
    config->kernel_cache = 1;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 3600;
    connection->max_readahead = read_ahead_bytes;
    FileSystem& self = FileSystem::here();
    self.mounted();
    return &self;
}

fuse_operations operations() {
    fuse_operations out{};
    out.init = on_init;
    out.getattr = [](const char* path, struct stat* stat, fuse_file_info*) {
        return guarded(path, [&](FileSystem& self) { return self.get_attributes(path, stat); });
    };
    out.readdir = [](const char* path, void* into, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
        return guarded(path, [&](FileSystem& self) { return self.read_folder(path, into, fill); });
    };
    out.readlink = [](const char* path, char* into, std::size_t size) {
        return guarded(path, [&](FileSystem& self) { return self.read_link(path, into, size); });
    };
    out.open = [](const char* path, fuse_file_info* info) {
        return guarded(path, [&](FileSystem& self) { return self.open(path, info); });
    };
    out.read = [](const char* path, char* into, std::size_t size, off_t offset, fuse_file_info* info) {
        return guarded(path, [&](FileSystem& self) { return self.read(info, into, size, offset); });
    };
    out.release = [](const char*, fuse_file_info* info) { return FileSystem::here().release(info), 0; };
    out.listxattr = [](const char* path, char* into, std::size_t size) {
        return guarded(path, [&](FileSystem& self) { return self.list_attributes(path, into, size); });
    };
    out.getxattr = [](const char* path, const char* name, char* into, std::size_t size) {
        return guarded(path, [&](FileSystem& self) { return self.get_attribute(path, name, into, size); });
    };
    return out;
}

// Ends the loop of `session`, which runs in `loop`, when it is to stop. The library joins its threads once the one that
// waits for them was woken, and only a signal does that; until they are joined they write into the connection, so it
// may not be closed before.
void end_when_stopped(const Stop& stop, fuse* session, pthread_t loop, const std::stop_token& over) {
    while (!over.stop_requested()) {
        if (stop.requested()) {
            fuse_exit(session);
            pthread_kill(loop, SIGUSR1);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

// A signal that does nothing but end a wait.
void make_waking(int signal) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(signal, &action, nullptr);
}

Error cannot_mount(const std::string& folder) {
    return Error{Code::failed, "cannot mount on {}", folder}
        .unharmed("nothing was changed")
        .hint(
            "It needs /dev/fuse (Debian: fuse3) and an empty folder; in a container, --device /dev/fuse and "
            "CAP_SYS_ADMIN.");
}

}  // namespace

void mount(repo::Repository& repository, const MountRequest& request, const std::function<void()>& mounted) {
    FileSystem files(repository, request);
    files.mounted = mounted;
    std::vector<std::string> words{"holdfast", "-o", "ro,default_permissions,fsname=holdfast,subtype=holdfast"};
    if (request.allow_other) words.back() += ",allow_other";
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
    const fuse_operations calls = operations();
    const std::unique_ptr<fuse, void (*)(fuse*)> session(fuse_new(&args, &calls, sizeof calls, &files), fuse_destroy);
    fuse_opt_free_args(&args);
    const auto below = device_of(request.folder);
    if (!session || fuse_mount(session.get(), request.folder.c_str()) != 0) throw cannot_mount(request.folder);
    if (const auto mounted_device = device_of(request.folder); mounted_device && mounted_device != below)
        read_further_ahead(*mounted_device);
    make_waking(SIGUSR1);
    {
        const std::jthread watcher([&, loop = pthread_self()](const std::stop_token& over) {
            end_when_stopped(repository.world().stop, session.get(), loop, over);
        });
        fuse_loop_config loop{};
        loop.max_idle_threads = 4;
        fuse_loop_mt(session.get(), &loop);
    }
    fuse_unmount(session.get());
}

}  // namespace holdfast::mount
