#include "source/rebuild_links.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace holdfast {

RebuildLinks::Outcome RebuildLinks::link(const Further& further) {
    const auto& [folder, name, item] = further;
    const std::lock_guard lock(mutex_);
    const auto found = groups_.find(item.hard_link);
    if (found == groups_.end()) return Outcome::is_first;
    Group& group = found->second;
    if (group.is_lost) return leave_out(item.path), Outcome::left_out;
    if (!group.is_complete) return group.waiting.push_back(further), Outcome::waits;
    if (!folder->folder || !group.first.folder) return context_.count(true), Outcome::linked;
    const Outcome outcome = link_to(group.first, {folder->folder, name}, item.path);
    if (outcome == Outcome::linked || outcome == Outcome::unchanged) context_.count(outcome == Outcome::linked);
    return outcome;
}

void RebuildLinks::add(const Folder::Pointer& folder, const std::string& name, const Item& item, bool is_complete) {
    const std::lock_guard lock(mutex_);
    groups_.insert_or_assign(item.hard_link, Group{{folder, name}, is_complete, false, {}});
}

std::vector<RebuildLinks::Further> RebuildLinks::complete(std::uint64_t hard_link) {
    const std::lock_guard lock(mutex_);
    Group& group = groups_[hard_link];
    group.is_complete = true;
    return std::exchange(group.waiting, {});
}

std::vector<RebuildLinks::Further> RebuildLinks::lose(std::uint64_t hard_link) {
    const std::lock_guard lock(mutex_);
    Group& group = groups_[hard_link];
    group.is_lost = true;
    for (const Further& further : group.waiting) leave_out(further.item.path);
    return std::exchange(group.waiting, {});
}

OpenedFd RebuildLinks::open(std::uint64_t hard_link) {
    const std::lock_guard lock(mutex_);
    const Name& first = groups_[hard_link].first;
    const Folder::Open folder = first.folder->open();
    if (!folder) return {{}, folder.error};
    return open_in(context_.target.cache(), folder.get(), first.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

RebuildLinks::Outcome RebuildLinks::link_to(const Name& first, const Name& name, const std::string& item_path) {
    const Folder::Open from = first.folder->open();
    const Folder::Open to = name.folder->open();
    int error = !from ? from.error : !to ? to.error : 0;
    if (error == 0 && context_.request.dry_run) return Outcome::linked;
    const auto link_as = [&](const std::string& as) {
        return linkat(from.get(), first.name.c_str(), to.get(), as.c_str(), 0) == 0 ? 0 : errno;
    };
    if (error == 0) error = link_as(name.name);
    if (error == EEXIST) {
        struct stat wanted {};
        struct stat found {};
        if (fstatat(from.get(), first.name.c_str(), &wanted, AT_SYMLINK_NOFOLLOW) == 0 &&
            fstatat(to.get(), name.name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
            if (wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino) return Outcome::unchanged;
            const bool is_same_kind = (wanted.st_mode & S_IFMT) == (found.st_mode & S_IFMT);
            if (!is_same_kind && !context_.clear_way(name.folder, name.name, item_path, found.st_mode))
                return Outcome::left_out;
        }
        // What is there goes only when the link is made.
        const std::string made = name_until_complete(name.name);
        error = link_as(made);
        if (error == EEXIST && unlinkat(to.get(), made.c_str(), 0) == 0) error = link_as(made);  // of a killed restore
        if (error == 0 && ::renameat(to.get(), made.c_str(), to.get(), name.name.c_str()) != 0) {
            error = errno;
            unlinkat(to.get(), made.c_str(), 0);
        }
    }
    if (error == 0) return Outcome::linked;
    if (ends_restore(error)) throw_target_error("link", item_path, error);
    context_.findings.count(Finding::Kind::unsupported,
                            "a hard link cannot be made, the file is a copy: " + errno_text(error), item_path);
    return Outcome::is_first;
}

void RebuildLinks::leave_out(const std::string& item_path) {
    context_.findings.add(
        {item_path, Finding::Kind::unreadable, "is a hard link to a file whose content cannot be had"});
}

}  // namespace holdfast
