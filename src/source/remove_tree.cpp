#include "source/remove_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "source/listing.h"
#include "source/metadata.h"

namespace holdfast {

namespace {

class Remover {
public:
    Remover(const Removal& removal, Findings& findings) : removal_(removal), findings_(findings) {}

    std::uint64_t run(const Folder::Pointer& folder, const std::string& name) {
        take(folder, name);
        while (!open_.empty()) {
            Level& level = open_.back();
            if (!level.sub_folders.empty()) {
                const std::string next = std::move(level.sub_folders.back());
                level.sub_folders.pop_back();
                const Folder::Pointer parent = level.folder;
                enter(parent, next);
                continue;
            }
            const Level done = std::move(level);
            open_.pop_back();
            done.folder->close();
            if (done.stays)
                above_stays();
            else
                unlink(done.folder->parent(), done.folder->name(), AT_REMOVEDIR);
        }
        return removed_;
    }

private:
    struct Level {
        Folder::Pointer folder;
        std::vector<std::string> sub_folders;
        bool stays = false;  // for what is in it
    };

    void above_stays() {
        if (!open_.empty()) open_.back().stays = true;
    }
    bool may_go(const Folder::Pointer& folder, const std::string& name) const {
        return !removal_.may_go || removal_.may_go(folder, name);
    }

    void take(const Folder::Pointer& folder, const std::string& name) {
        struct stat stat {};
        const Folder::Open open = folder->open();
        if (!open) return failed(folder->path(), open.error);
        if (fstatat(open.get(), name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0)
            return failed(folder->path_of(name), errno);
        if (S_ISDIR(stat.st_mode)) {
            enter(folder, name);
        } else {
            unlink(folder, name, 0);
        }
    }

    void enter(const Folder::Pointer& parent, const std::string& name) {
        const Folder::Pointer folder = Folder::below(parent, name);
        const Folder::Open above = parent->open();
        const Folder::Open open = above ? folder->open() : above;
        if (!open) return failed(parent->path_of(name), open.error);
        struct stat own {};
        struct stat outside {};
        if (fstat(open.get(), &own) != 0 || fstat(above.get(), &outside) != 0) return failed(folder->path(), errno);
        if (own.st_dev != outside.st_dev) {
            findings_.add({folder->path(), Finding::Kind::unsupported,
                           "another file system is mounted there; it was left alone"});
            return above_stays();
        }
        Listing listing;
        if (const int error = listing.list(open.get()); error != 0) return failed(folder->path(), error);
        Level level{folder, {}, false};
        for (std::size_t i = 0; i < listing.size(); ++i) {
            const char* inside = listing.name(i);
            if (!may_go(folder, inside)) {
                level.stays = true;
                continue;
            }
            struct stat stat {};
            const bool is_folder =
                listing.type(i) == DT_DIR ||
                (listing.type(i) == DT_UNKNOWN && fstatat(open.get(), inside, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISDIR(stat.st_mode));
            if (is_folder) {
                level.sub_folders.emplace_back(inside);
            } else {
                unlink(folder, inside, 0);
            }
        }
        open_.push_back(std::move(level));
    }

    void unlink(const Folder::Pointer& folder, const std::string& name, int flags) {
        if (!removal_.only_count) {
            const Folder::Open open = folder->open();
            const int error = !open ? open.error : unlinkat(open.get(), name.c_str(), flags) != 0 ? errno : 0;
            if (error == ENOENT || error == ENOTEMPTY || error == EEXIST)
                return;  // gone, or what is in it has its finding
            if (error != 0) return failed(folder->path_of(name), error);
        }
        ++removed_;
    }

    void failed(const std::string& path, int error) {
        if (error == ENOENT) return;
        if (ends_restore(error)) throw_target_error("remove", path, error);
        findings_.add({path, Finding::Kind::unsupported, "cannot be removed: " + errno_text(error)});
    }

    const Removal& removal_;
    Findings& findings_;
    std::vector<Level> open_;
    std::uint64_t removed_ = 0;
};

}  // namespace

std::uint64_t remove_tree(const Folder::Pointer& folder, const std::string& name, const Removal& removal,
                          Findings& findings) {
    return Remover(removal, findings).run(folder, name);
}

}  // namespace holdfast
