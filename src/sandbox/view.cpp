#include "sandbox/view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/file.h"
#include "sandbox/mount_lock.h"

namespace holdfast {

namespace {

using Kind = ViewStep::Kind;

// Programs and what they need to start; nothing here is a secret.
constexpr std::array programs{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt"};
constexpr std::array settings{"/etc/ld.so.cache",  "/etc/ld.so.conf", "/etc/ld.so.conf.d",   "/etc/alternatives",
                              "/etc/localtime",    "/etc/timezone",   "/etc/services",       "/etc/protocols",
                              "/etc/locale.alias", "/etc/ssl/certs",  "/etc/ssl/openssl.cnf"};
constexpr std::array devices{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

bool is_shown(const std::string& path) {
    return std::ranges::any_of(programs,
                               [&](const char* folder) { return path.starts_with(std::string(folder) + "/"); });
}

class Maker {
public:
    explicit Maker(View& view) : view_(view) {}

    void folder(const std::string& path) {
        for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
            const std::string part = path.substr(0, at);
            if (part.size() > 1 && made_.insert(part).second) add(Kind::folder, part, "");
            if (at == std::string::npos) return;
        }
    }
    // A symlink is made anew, so that /bin leads to /usr/bin here, too.
    void show(const std::string& path, Kind kind) {
        struct stat stat {};
        if (::lstat(path.c_str(), &stat) != 0 || !made_.insert(path).second) return;
        above(path);
        if (S_ISLNK(stat.st_mode)) {
            std::string to(4096, '\0');
            const ssize_t got = ::readlink(path.c_str(), to.data(), to.size());
            if (got <= 0) return;
            to.resize(static_cast<std::size_t>(got));
            add(Kind::link, path, to);
            return;
        }
        if (S_ISDIR(stat.st_mode)) {
            add(Kind::folder, path, "");
        } else {
            add(Kind::text, path, "");
        }
        add(kind, path, path);
    }
    void text(const std::string& path, std::string content) {
        above(path);
        made_.insert(path);
        add(Kind::text, path, std::move(content));
    }
    void add(Kind kind, const std::string& path, std::string source) {
        view_.steps.push_back({kind, view_.root + path, std::move(source), kind == Kind::processes});
    }

private:
    void above(const std::string& path) {
        if (const std::size_t slash = path.rfind('/'); slash > 0) folder(path.substr(0, slash));
    }
    View& view_;
    std::set<std::string> made_;
};

int write_text(const ViewStep& step) {
    const int fd = ::open(step.target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    const ssize_t done = ::write(fd, step.source.data(), step.source.size());
    const int error = done == static_cast<ssize_t>(step.source.size()) ? 0 : EIO;
    ::close(fd);
    return error;
}

int bind(const ViewStep& step, unsigned long flags) {
    const char* target = step.target.c_str();
    if (::mount(step.source.c_str(), target, nullptr, MS_BIND | MS_REC, nullptr) != 0) return errno;
    return flags == 0 ? 0 : lock_mounts(target, flags);
}

int carry_out(const ViewStep& step) {
    const char* target = step.target.c_str();
    switch (step.kind) {
        case Kind::folder:
            return ::mkdir(target, 0755) == 0 || errno == EEXIST ? 0 : errno;
        case Kind::text:
            return write_text(step);
        case Kind::link:
            return ::symlink(step.source.c_str(), target) == 0 ? 0 : errno;
        case Kind::device:
            return bind(step, 0);
        case Kind::read_only:
            return bind(step, MS_RDONLY | MS_NOSUID);
        case Kind::writable:
            return bind(step, MS_NOSUID | MS_NODEV);
        case Kind::memory:
            return ::mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0 ? 0 : errno;
        case Kind::processes:
            return ::mount("proc", target, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0 ? 0 : errno;
    }
    return EINVAL;
}

}  // namespace

View make_view(const ViewOptions& options) {
    View out;
    out.root = options.root;
    Maker make(out);
    for (const char* path : programs) make.show(path, Kind::read_only);
    for (const char* path : settings) make.show(path, Kind::read_only);
    make.text("/etc/passwd", fmt::format("sandbox:x:{}:{}::{}:/bin/false\n", options.uid, options.uid, options.work));
    make.text("/etc/group", fmt::format("sandbox:x:{}:\n", options.uid));
    make.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
    for (const char* path : devices) make.show(path, Kind::device);
    make.add(Kind::link, "/dev/fd", "/proc/self/fd");
    make.folder("/dev/shm");
    make.add(Kind::memory, "/dev/shm", "");
    make.folder("/tmp");
    make.add(Kind::memory, "/tmp", "");
    make.folder("/proc");
    make.add(Kind::processes, "/proc", "");
    for (const std::string& path : options.readable)
        if (!is_shown(path)) make.show(path, Kind::read_only);
    make.folder(options.work);
    make.add(Kind::writable, options.work, options.work);
    return out;
}

int enter_view(const View& view, const ViewStep*& failed) {
    failed = nullptr;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
    if (::mount("tmpfs", view.root.c_str(), "tmpfs", MS_NOSUID, "mode=0755,size=16m") != 0) return errno;
    for (const ViewStep& step : view.steps) {
        const int error = carry_out(step);
        if (error == 0 || step.may_fail) continue;
        failed = &step;
        return error;
    }
    if (::chdir(view.root.c_str()) != 0) return errno;
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
    if (::umount2(".", MNT_DETACH) != 0) return errno;
    return ::chdir("/") == 0 ? 0 : errno;
}

}  // namespace holdfast
