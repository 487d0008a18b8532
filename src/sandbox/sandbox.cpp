#include "sandbox/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/remove.h"
#include "base/text.h"

namespace holdfast {

namespace {

// The range that systemd gives to its dynamic users: no account has them.
constexpr uid_t uid_first = 61184;
constexpr uid_t uid_last = 65519;
constexpr std::chrono::seconds end_wait_max{10};

[[noreturn]] void fail(std::string_view verb, const std::string& path, int error) {
    throw Error{errno_code(error, Code::failed), "the sandbox cannot be made: cannot {} {}: {}", verb, path,
                errno_text(error)}
        .unharmed("nothing was restored")
        .hint("Name a folder for sandboxes with --sandbox or HOLDFAST_SANDBOX.");
}

void make_folder(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) fail("create", path, errno);
}

// In a folder for everybody, such as /var/tmp, anybody could have made it first.
void make_root(const std::string& root) {
    for (std::size_t at = root.find('/', 1); at != std::string::npos; at = root.find('/', at + 1))
        make_folder(root.substr(0, at), 0777);
    make_folder(root, 0711);
    struct stat stat {};
    if (::lstat(root.c_str(), &stat) != 0) fail("look at", root, errno);
    if (!S_ISDIR(stat.st_mode) || stat.st_uid != ::geteuid() || (stat.st_mode & 022) != 0)
        throw Error{Code::denied, "{} is not a folder that only this user can write to", root}
            .unharmed("nothing was restored")
            .hint("Remove it, or name another folder with --sandbox or HOLDFAST_SANDBOX.");
}

// Held while sandboxes are made or looked for, so that one is never seen without its lock.
Fd lock_root(const std::string& root) {
    const std::string path = root + "/.lock";
    Fd out(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!out) fail("open", path, errno);
    while (::flock(out.get(), LOCK_EX) != 0) {
        if (errno != EINTR) fail("lock", path, errno);
    }
    return out;
}

std::vector<std::string> sandboxes_in(const std::string& root) {
    std::vector<std::string> out;
    DIR* dir = ::opendir(root.c_str());
    if (dir == nullptr) return out;
    while (const dirent* entry = ::readdir(dir)) {
        const std::string name = &entry->d_name[0];
        if (!name.starts_with('.')) out.push_back(root + "/" + name);
    }
    ::closedir(dir);
    return out;
}

uid_t unused_uid(const std::string& root, Random& random) {
    std::set<uid_t> used;
    for (const std::string& path : sandboxes_in(root)) {
        struct stat stat {};
        if (::lstat((path + "/work").c_str(), &stat) == 0) used.insert(stat.st_uid);
    }
    while (true) {
        const uid_t uid = uid_first + static_cast<uid_t>(random.number() % (uid_last - uid_first + 1));
        if (!used.contains(uid) && ::getpwuid(uid) == nullptr) return uid;
    }
}

// "pid start": a number alone may be another process's by now.
std::string start_of(pid_t pid) {
    const auto stat = read_file_if_present(fmt::format("/proc/{}/stat", pid));
    if (!stat) return "";
    const std::string_view text = as_text(*stat);
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos) return "";
    const std::vector<std::string> fields = split(text.substr(name_end + 2), ' ');
    return fields.size() > 19 && fields[0] != "Z" ? fields[19] : "";
}

void end_processes(const std::string& path) {
    const auto listed = read_file_if_present(path + "/processes");
    if (!listed) return;
    const auto deadline = std::chrono::steady_clock::now() + end_wait_max;
    for (const std::string& line : split(as_text(*listed), '\n')) {
        const std::size_t space = line.find(' ');
        if (space == std::string::npos) continue;
        const pid_t pid = std::atoi(line.c_str());
        const std::string start = line.substr(space + 1);
        if (pid <= 1 || start_of(pid) != start) continue;
        ::kill(-pid, SIGKILL);
        ::kill(pid, SIGKILL);
        while (start_of(pid) == start && std::chrono::steady_clock::now() < deadline)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace

std::string default_sandbox_root() {
    if (const char* given = std::getenv("HOLDFAST_SANDBOX"); given != nullptr && *given != '\0') return given;
    if (::geteuid() == 0) return "/var/tmp/holdfast-sandbox";
    if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
        return std::string(cache) + "/holdfast-sandbox";
    const std::string home = home_folder();
    return home.empty() ? fmt::format("/var/tmp/holdfast-sandbox-{}", ::geteuid()) : home + "/.cache/holdfast-sandbox";
}

Sandbox::Sandbox(World& world, const std::string& root, std::uint64_t bytes_needed) : world_(world) {
    const Note note{"making a sandbox below {}", root};
    make_root(root);
    struct statvfs room {};
    if (::statvfs(root.c_str(), &room) != 0) fail("look at", root, errno);
    const std::uint64_t free = std::uint64_t{room.f_bavail} * room.f_frsize;
    if (free < bytes_needed)
        throw Error{Code::no_space, "the sandbox needs {} below {}, which has {} free", human_bytes(bytes_needed), root,
                    human_bytes(free)}
            .unharmed("nothing was restored")
            .hint("Name a folder on a larger disk with --sandbox or HOLDFAST_SANDBOX.");
    const Fd held = lock_root(root);
    path_ = fmt::format("{}/{}", root, to_hex(world.random.array<4>()));
    if (::mkdir(path_.c_str(), 0711) != 0) fail("create", path_, errno);
    const std::string lock = path_ + "/lock";
    lock_ = Fd(::open(lock.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!lock_ || ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) fail("lock", lock, errno);
    make_folder(work(), 0700);
    uid_ = ::geteuid();
    if (uid_ != 0) return;
    const uid_t other = unused_uid(root, world.random);
    if (::chown(work().c_str(), other, other) == 0) uid_ = other;
}

Sandbox::~Sandbox() {
    try {
        end_processes(path_);
        remove_everything(path_);
    } catch (const Error& error) {
        world_.log.warning(fmt::format("{}; `holdfast prove --reap` tries again", error.message()));
    }
}

void Sandbox::remember(pid_t pid) {
    const std::string path = path_ + "/processes";
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) fail("open", path, errno);
    write_all(file.get(), as_bytes(fmt::format("{} {}\n", pid, start_of(pid))), path);
}

std::vector<std::string> reap_sandboxes(World& world, const std::string& root) {
    std::vector<std::string> out;
    if (::access(root.c_str(), F_OK) != 0) return out;
    make_root(root);
    const Fd held = lock_root(root);
    for (const std::string& path : sandboxes_in(root)) {
        const Fd lock(::open((path + "/lock").c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
        if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
        try {
            end_processes(path);
            remove_everything(path);
            out.push_back(path);
        } catch (const Error& error) {
            world.log.warning(fmt::format("a sandbox that nobody uses stays: {}", error.message()));
        }
    }
    return out;
}

}  // namespace holdfast
