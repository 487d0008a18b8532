#include "base/remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/file.h"

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
    return out;
}

}  // namespace

// Each folder is moved up to the top before it is emptied, so that no path becomes long.
void remove_everything(const std::string& folder) {
    struct stat stat {};
    if (::lstat(folder.c_str(), &stat) == 0 && S_ISDIR(stat.st_mode)) std::ignore = ::chmod(folder.c_str(), 0700);
    const Fd top(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!top) return;
    std::size_t moved = 0;
    const std::string prefix = ".removing-" + std::to_string(::getpid()) + "-";
    for (std::vector<std::string> waiting = names_in(top.get()); !waiting.empty();) {
        const std::string name = std::move(waiting.back());
        waiting.pop_back();
        if (::unlinkat(top.get(), name.c_str(), 0) == 0) continue;
        std::ignore = ::fchmodat(top.get(), name.c_str(), 0700, 0);
        const Fd inside(::openat(top.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!inside) throw Error{Code::failed, "cannot remove {}/{}: {}", folder, name, errno_text(errno)};
        for (const std::string& child : names_in(inside.get())) {
            if (::unlinkat(inside.get(), child.c_str(), 0) == 0) continue;
            std::ignore = ::fchmodat(inside.get(), child.c_str(), 0700, 0);
            waiting.push_back(prefix + std::to_string(moved++));
            if (::renameat(inside.get(), child.c_str(), top.get(), waiting.back().c_str()) != 0)
                throw Error{Code::failed, "cannot remove {}/…/{}: {}", folder, child, errno_text(errno)};
        }
        if (::unlinkat(top.get(), name.c_str(), AT_REMOVEDIR) != 0)
            throw Error{Code::failed, "cannot remove {}/{}: {}", folder, name, errno_text(errno)};
    }
    if (::rmdir(folder.c_str()) != 0) throw Error{Code::failed, "cannot remove {}: {}", folder, errno_text(errno)};
}

}  // namespace holdfast
