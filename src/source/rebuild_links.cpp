#include "source/rebuild_links.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace holdfast {

RebuildLinks::Outcome RebuildLinks::link(const Folder::Pointer& folder, const std::string& name, const Item& item) {
    const std::lock_guard lock(mutex_);
    const auto found = groups_.find(item.hard_link);
    if (found == groups_.end()) return Outcome::is_first;
    Group& group = found->second;
    if (group.is_lost) return leave_out(item.path), Outcome::left_out;
    if (!folder || !group.first.folder) return context_.count(true), Outcome::linked;
    const Outcome outcome = link_to(group.first, {folder, name, {}}, item.path);
    const bool is_linked = outcome == Outcome::linked || outcome == Outcome::unchanged;
    if (is_linked) context_.count(outcome == Outcome::linked);
    if (is_linked && !group.is_complete) group.more.push_back({folder, name, outcome});
    return outcome;
}

void RebuildLinks::add(const Folder::Pointer& folder, const std::string& name, const Item& item, bool is_complete) {
    const std::lock_guard lock(mutex_);
    groups_.insert_or_assign(item.hard_link, Group{{folder, name, {}}, is_complete, false, {}});
}

void RebuildLinks::complete(std::uint64_t hard_link) {
    const std::lock_guard lock(mutex_);
    Group& group = groups_[hard_link];
    group.is_complete = true;
    group.more = {};
}

void RebuildLinks::lose(std::uint64_t hard_link) {
    const std::lock_guard lock(mutex_);
    Group& group = groups_[hard_link];
    group.is_lost = true;
    for (const auto& [folder, name, outcome] : group.more) {
        (outcome == Outcome::linked ? context_.items_written : context_.items_unchanged) -= 1;
        if (const Folder::Open open = folder->open()) unlinkat(open.get(), name.c_str(), 0);
        leave_out(folder->path_of(name));
    }
    group.more = {};
}

RebuildLinks::Outcome RebuildLinks::link_to(const Name& first, const Name& name, const std::string& item_path) {
    const Folder::Open from = first.folder->open();
    const Folder::Open to = name.folder->open();
    int error = !from ? from.error : !to ? to.error : 0;
    if (error == 0 && context_.request.dry_run) return Outcome::linked;
    if (error == 0 && linkat(from.get(), first.name.c_str(), to.get(), name.name.c_str(), 0) == 0)
        return Outcome::linked;
    if (error == 0) error = errno;
    if (error == EEXIST) return replace_by_link(from.get(), first, to.get(), name, item_path);
    if (ends_restore(error)) throw_target_error("link", item_path, error);
    context_.findings.count(Finding::Kind::unsupported,
                            "a hard link cannot be made, the file is a copy: " + errno_text(error), item_path);
    return Outcome::is_first;
}

RebuildLinks::Outcome RebuildLinks::replace_by_link(int from, const Name& first, int to, const Name& name,
                                                    const std::string& item_path) {
    struct stat wanted {};
    struct stat found {};
    if (fstatat(from, first.name.c_str(), &wanted, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(to, name.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
        if (wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino) return Outcome::unchanged;
        const bool is_same_kind = (wanted.st_mode & S_IFMT) == (found.st_mode & S_IFMT);
        if (!is_same_kind && !context_.clear_way(name.folder, name.name, item_path, found.st_mode))
            return Outcome::left_out;
        if (is_same_kind) unlinkat(to, name.name.c_str(), 0);
    }
    if (linkat(from, first.name.c_str(), to, name.name.c_str(), 0) == 0) return Outcome::linked;
    context_.failed("link", item_path, errno);
    return Outcome::left_out;
}

void RebuildLinks::leave_out(const std::string& item_path) {
    context_.findings.add(
        {item_path, Finding::Kind::unreadable, "is a hard link to a file whose content cannot be had"});
}

}  // namespace holdfast
