// The comparison of testing/nasty_tree.h.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "testing/nasty_tree.h"

namespace holdfast {

namespace {

std::vector<std::string> names_in(int folder) {
    std::vector<std::string> out;
    DIR* dir = ::fdopendir(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir == nullptr) throw Error{Code::failed, "cannot list a folder: {}", errno_text(errno)};
    while (const dirent* entry = ::readdir(dir)) {
        const std::string name = &entry->d_name[0];
        if (name != "." && name != "..") out.push_back(name);
    }
    ::closedir(dir);
    std::ranges::sort(out);
    return out;
}

std::map<std::string, std::string> attributes_of(int folder, const std::string& name) {
    const std::string path = fmt::format("/proc/self/fd/{}/{}", folder, name);
    std::string list(65536, '\0');
    const ssize_t bytes = ::llistxattr(path.c_str(), list.data(), list.size());
    std::map<std::string, std::string> out;
    for (std::size_t at = 0; bytes > 0 && at < static_cast<std::size_t>(bytes);) {
        const std::string attribute = list.c_str() + at;
        std::string value(65536, '\0');
        const ssize_t got = ::lgetxattr(path.c_str(), attribute.c_str(), value.data(), value.size());
        value.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
        out[attribute] = value;
        at += attribute.size() + 1;
    }
    return out;
}

std::string link_of(int folder, const std::string& name) {
    std::string out(5000, '\0');
    const ssize_t got = ::readlinkat(folder, name.c_str(), out.data(), out.size());
    out.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return out;
}

// Where data lies in a file, and its bytes.
std::map<std::uint64_t, std::string> runs_of(int folder, const std::string& name) {
    const Fd fd(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw Error{Code::failed, "cannot open {}: {}", name, errno_text(errno)};
    std::map<std::uint64_t, std::string> out;
    off_t at = 0;
    while ((at = ::lseek(fd.get(), at, SEEK_DATA)) >= 0) {
        const off_t end = ::lseek(fd.get(), at, SEEK_HOLE);
        std::string bytes(static_cast<std::size_t>(end - at), '\0');
        if (::pread(fd.get(), bytes.data(), bytes.size(), at) != std::ssize(bytes))
            throw Error{Code::failed, "cannot read {}", name};
        out[static_cast<std::uint64_t>(at)] = std::move(bytes);
        at = end;
    }
    return out;
}

class Comparison {
public:
    std::vector<std::string> lines;

    void compare_item(int a, int b, const std::string& name, const std::string& path) {
        struct stat x {};
        struct stat y {};
        const bool in_a = ::fstatat(a, name.c_str(), &x, AT_SYMLINK_NOFOLLOW) == 0;
        const bool in_b = ::fstatat(b, name.c_str(), &y, AT_SYMLINK_NOFOLLOW) == 0;
        if (in_a != in_b) return say(path, in_a ? "is missing" : "should not be");
        if ((x.st_mode & S_IFMT) != (y.st_mode & S_IFMT)) return say(path, "is of another kind");
        if (x.st_mode != y.st_mode) say(path, fmt::format("mode {:o} is {:o}", x.st_mode, y.st_mode));
        if (x.st_uid != y.st_uid || x.st_gid != y.st_gid)
            say(path, fmt::format("owner {}:{} is {}:{}", x.st_uid, x.st_gid, y.st_uid, y.st_gid));
        if (x.st_mtim.tv_sec != y.st_mtim.tv_sec || x.st_mtim.tv_nsec != y.st_mtim.tv_nsec)
            say(path, fmt::format("time {}.{:09} is {}.{:09}", x.st_mtim.tv_sec, x.st_mtim.tv_nsec, y.st_mtim.tv_sec,
                                  y.st_mtim.tv_nsec));
        if (attributes_of(a, name) != attributes_of(b, name)) say(path, "has other attributes");
        if (S_ISLNK(x.st_mode) && link_of(a, name) != link_of(b, name)) say(path, "leads elsewhere");
        if ((S_ISCHR(x.st_mode) || S_ISBLK(x.st_mode)) && x.st_rdev != y.st_rdev) say(path, "is another device");
        if (!S_ISDIR(x.st_mode)) compare_links(x, y, path);
        if (S_ISREG(x.st_mode)) compare_content(a, b, name, path, {x, y});
    }

    void compare_links(const struct stat& x, const struct stat& y, const std::string& path) {
        if (x.st_nlink != y.st_nlink) say(path, fmt::format("has {} names instead of {}", y.st_nlink, x.st_nlink));
        const auto [known, is_new] = inodes_.emplace(std::pair(x.st_dev, x.st_ino), std::pair(y.st_dev, y.st_ino));
        if (!is_new && known->second != std::pair(y.st_dev, y.st_ino)) say(path, "is linked to other names");
    }

    void compare_content(int a, int b, const std::string& name, const std::string& path,
                         std::pair<struct stat, struct stat> stats) {
        if (stats.first.st_size != stats.second.st_size) return say(path, "has another size");
        const auto expected = runs_of(a, name);
        const auto found = runs_of(b, name);
        if (expected == found) return;
        const bool same_places = std::ranges::equal(expected, found, [](const auto& p, const auto& q) {
            return p.first == q.first && p.second.size() == q.second.size();
        });
        say(path, same_places ? "has other content" : "has other holes or content");
    }

    void say(const std::string& path, const std::string& what) { lines.push_back(printable(path) + " " + what); }

private:
    std::map<std::pair<dev_t, ino_t>, std::pair<dev_t, ino_t>> inodes_;
};

Fd open_folder(int above, const std::string& name) {
    Fd fd(::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) throw Error{Code::failed, "cannot open the folder {}: {}", name, errno_text(errno)};
    return fd;
}

struct Pair {
    std::shared_ptr<Fd> a;
    std::shared_ptr<Fd> b;
    std::string name;
    std::string path;
};

}  // namespace

std::vector<std::string> differences(const std::string& expected, const std::string& found) {
    Comparison comparison;
    comparison.compare_item(AT_FDCWD, AT_FDCWD, expected, expected);
    comparison.lines.clear();
    const auto top_a = std::make_shared<Fd>(open_folder(AT_FDCWD, expected));
    const auto top_b = std::make_shared<Fd>(open_folder(AT_FDCWD, found));
    std::vector<Pair> waiting{{top_a, top_b, ".", ""}};
    while (!waiting.empty()) {
        const Pair at = std::move(waiting.back());
        waiting.pop_back();
        comparison.compare_item(at.a->get(), at.b->get(), at.name, at.path.empty() ? "." : at.path);
        const auto a = std::make_shared<Fd>(open_folder(at.a->get(), at.name));
        const auto b = std::make_shared<Fd>(open_folder(at.b->get(), at.name));
        std::vector<std::string> names = names_in(a->get());
        const std::vector<std::string> others = names_in(b->get());
        names.insert(names.end(), others.begin(), others.end());
        std::ranges::sort(names);
        const auto repeated = std::ranges::unique(names);
        names.erase(repeated.begin(), repeated.end());
        for (const std::string& name : names) {
            struct stat x {};
            struct stat y {};
            const bool both = ::fstatat(a->get(), name.c_str(), &x, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(x.st_mode) &&
                              ::fstatat(b->get(), name.c_str(), &y, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(y.st_mode);
            const std::string path = at.path.empty() ? name : at.path + "/" + name;
            if (both) {
                waiting.push_back({a, b, name, path});
            } else {
                comparison.compare_item(a->get(), b->get(), name, path);
            }
        }
    }
    std::ranges::sort(comparison.lines);
    return comparison.lines;
}

}  // namespace holdfast
