#include "source/rebuild_folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "source/listing.h"
#include "source/release_chain.h"
#include "source/remove_tree.h"

namespace holdfast {

TargetFolder::~TargetFolder() { release_chain(std::move(above)); }

std::string TargetFolder::item_path() const {
    std::vector<const TargetFolder*> way;
    for (const TargetFolder* at = this; at != nullptr; at = at->above.get()) way.push_back(at);
    std::string path;
    for (; !way.empty(); way.pop_back()) {
        if (!path.empty() && path.back() != '/') path += '/';
        path += way.back()->name;
    }
    return path;
}

RebuildFolders::RebuildFolders(RebuildContext& context) : context_(context), top_(std::make_shared<TargetFolder>()) {
    top_->name = context.request.strip.empty() ? "/" : context.request.strip;
    top_->folder = context.target.folder();
    top_->existed = top_->folder && !context.target.was_empty();
    top_->is_plain = context.target.is_plain();
    hold(*top_);  // until finish_top()
    way_.push_back(top_);
}

// A target that somebody made for this is his, unless it stands for a folder of the snapshot: for the one whose contents go
// to it, or for a "/" that was captured.
void RebuildFolders::set_top(const Item& item) {
    const bool is_captured = wholeness_of(item) != Wholeness::leading || context_.target.path() == "/";
    const bool stands_for_item =
        !context_.request.strip.empty() || (context_.request.existing != Existing::refuse && is_captured);
    if (!stands_for_item && !context_.target.was_made()) return;
    top_->metadata = metadata_of(item);
    top_->wholeness = wholeness_of(item);
}

const TargetFolderPointer& RebuildFolders::enter(std::string_view path) {
    while (!is_within(path, path_)) leave();
    while (path_.size() < path.size()) {
        const std::size_t begin = path_.empty() ? 0 : path_.size() + 1;
        const std::string name(path.substr(begin, path.find('/', begin) - begin));
        std::deque<TargetFolder::SubFolder>& begun = way_.back()->sub_folders;
        while (!begun.empty() && begun.front().name < name) {
            push(std::move(begun.front()));
            leave();
        }
        if (begun.empty() || begun.front().name != name) {  // its item was left out of this restore
            TargetFolder::SubFolder sub;
            sub.name = name;
            make_here(way_.back(), sub, join_path(way_.back()->item_path(), name));
            begun.push_front(std::move(sub));
        }
        push(std::move(begun.front()));
    }
    return way_.back();
}

void RebuildFolders::make(const TargetFolderPointer& in, const std::string& name, const Item& item) {
    TargetFolder::SubFolder sub;
    sub.name = name;
    sub.metadata = metadata_of(item);
    sub.wholeness = wholeness_of(item);
    make_here(in, sub, item.path);
    // A folder that only leads to others comes when the first of them does.
    const auto at = std::ranges::lower_bound(in->sub_folders, name, {}, &TargetFolder::SubFolder::name);
    in->sub_folders.insert(at, std::move(sub));
}

void RebuildFolders::make_here(const TargetFolderPointer& in, TargetFolder::SubFolder& sub,
                               const std::string& item_path) {
    sub.is_blocked = true;
    const bool is_dry_run = context_.request.dry_run;
    if (!in->folder) {
        sub.is_blocked = in->is_blocked;
        return;
    }
    const Folder::Open open = in->folder->open();
    if (!open) return context_.failed("open the folder of", item_path, open.error);
    // Only we may look into it until it has its metadata; one that no item stands for gets what mkdir gives.
    const unsigned mode = sub.metadata ? 0700 : 0777;
    if (!is_dry_run && mkdirat(open.get(), sub.name.c_str(), mode) == 0) {
        sub.is_blocked = false;
        return;
    }
    if (!is_dry_run && errno != EEXIST) return context_.failed("create", item_path, errno);
    struct stat stat {};
    if (fstatat(open.get(), sub.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) {
        if (!is_dry_run || errno != ENOENT) return context_.failed("stat", item_path, errno);
        sub.is_blocked = false;
    } else if (S_ISDIR(stat.st_mode)) {
        sub.existed = true;
        sub.is_blocked = false;
    } else if (S_ISLNK(stat.st_mode) && sub.wholeness == Wholeness::leading) {
        context_.findings.add({item_path, Finding::Kind::unsupported,
                               "is a symlink here, and a folder that only leads to what was captured there: restore "
                               "SNAPSHOT:FOLDER --to where that folder is"});
    } else if (context_.clear_way(in->folder, sub.name, item_path, stat.st_mode)) {
        if (!is_dry_run && mkdirat(open.get(), sub.name.c_str(), mode) != 0)
            return context_.failed("create", item_path, errno);
        sub.is_blocked = false;
    }
}

// `sub` is the first of the sub-folders of the present folder.
void RebuildFolders::push(TargetFolder::SubFolder sub) {
    const TargetFolderPointer above = way_.back();
    above->sub_folders.pop_front();
    auto folder = std::make_shared<TargetFolder>();
    folder->name = sub.name;
    folder->metadata = std::move(sub.metadata);
    folder->existed = sub.existed;
    folder->is_blocked = sub.is_blocked;
    folder->wholeness = sub.wholeness;
    const bool exists = sub.existed || !context_.request.dry_run;
    if (above->folder && exists && !sub.is_blocked) folder->folder = Folder::below(above->folder, sub.name);
    folder->above = above;
    hold(*above);
    if (!path_.empty()) path_ += '/';
    path_ += sub.name;
    way_.push_back(folder);
    if (!folder->folder) return;
    folder->present = {.mode = 0700, .uid = context_.target.uid(), .gid = context_.target.gid(), .is_new = true};
    folder->is_plain = above->is_plain && !sub.existed && folder->metadata;
    if (!folder->is_plain) look_at(*folder);
}

// A folder that existed, or that may have got more from the one above it than we asked for.
void RebuildFolders::look_at(TargetFolder& folder) {
    Folder::Open open = folder.folder->open();
    const bool can_help = open.error == EACCES && !context_.request.dry_run && !context_.metadata.is_root_user();
    if (can_help) {  // ours, but closed also to us
        const Folder::Open above = folder.above->folder->open();
        if (above && chmod_by_name(above.get(), folder.folder->name().c_str(), 0700) == 0) open = folder.folder->open();
    }
    struct stat stat {};
    if (!open || fstat(open.get(), &stat) != 0) {
        context_.failed("open", folder.item_path(), open ? errno : open.error);
        folder.is_blocked = true;
        folder.folder.reset();
        return;
    }
    folder.present = present_of(stat);
    const bool closed = (stat.st_mode & 0700) != 0700 && !context_.metadata.is_root_user() && !context_.request.dry_run;
    if (closed && fchmod(open.get(), (stat.st_mode & 07777) | 0700) == 0) folder.present.mode |= 0700;
}

void RebuildFolders::leave() {
    const TargetFolderPointer folder = way_.back();
    while (!folder->sub_folders.empty()) {
        push(std::move(folder->sub_folders.front()));
        leave();  // it has no sub-folders that were begun
    }
    find_others(folder);
    way_.pop_back();
    if (!way_.empty()) {
        const std::size_t slash = path_.rfind('/');
        path_.resize(slash == std::string::npos ? 0 : slash);
    }
    release(folder);
}

void RebuildFolders::leave_all() {
    while (!way_.empty()) leave();
}

void RebuildFolders::release(TargetFolderPointer folder) {
    while (folder && folder->unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        finish(*folder);
        folder = TargetFolderPointer(folder->above);
    }
}

void RebuildFolders::finish(TargetFolder& folder) {
    if (folder.is_blocked || !folder.metadata) return;
    if (!folder.folder) return context_.count(true);  // a dry run that would make it
    const Folder::Open open = folder.folder->open();
    if (!open) return context_.failed("open", folder.item_path(), open.error);
    if (!folder.present.is_new) {
        struct stat stat {};
        if (fstat(open.get(), &stat) != 0) return context_.failed("stat", folder.item_path(), errno);
        folder.present = present_of(stat);
        folder.present.has_times = stat.st_mtim.tv_sec == folder.metadata->mtime_s &&
                                   stat.st_mtim.tv_nsec == std::int64_t{folder.metadata->mtime_ns};
    }
    if (folder.wholeness == Wholeness::leading && !context_.metadata.is_root_user()) {
        // A folder that only leads to what is restored may belong to whoever restores.
        folder.metadata->uid = folder.present.uid;
        folder.metadata->gid = folder.present.gid;
    }
    const bool changed = context_.request.dry_run ? differs(*folder.metadata, folder.present)
                                                  : context_.metadata.set(open.get(), *folder.metadata, folder.present,
                                                                          [&] { return folder.item_path(); });
    context_.count(changed || !folder.existed);
    folder.folder->close();
}

void RebuildFolders::find_others(const TargetFolderPointer& folder) {
    const bool is_whole = folder->metadata && folder->wholeness == Wholeness::whole && !folder->is_blocked;
    if (!context_.request.may_delete || !is_whole || !folder->existed || !folder->folder) return;
    Listing listing;
    const Folder::Open open = folder->folder->open();
    const int error = open ? listing.list(open.get()) : open.error;
    if (error != 0) return context_.failed("list", folder->item_path(), error);
    listing.sort();
    std::ranges::sort(folder->names);
    for (std::size_t i = 0; i < listing.size(); ++i) {
        std::string name = listing.name(i);
        const bool is_marker = folder == top_ && name == restore_marker;
        const bool is_of_snapshot = std::ranges::binary_search(folder->names, name);
        if (!is_marker && !is_of_snapshot && context_.may_delete(folder->folder, name))
            folder->others.push_back(std::move(name));
    }
    folder->names = {};
    if (folder->others.empty()) return;
    hold(*folder);
    with_others_.push_back(folder);
}

void RebuildFolders::remove_others() {
    const Removal removal{
        .only_count = context_.request.dry_run,
        .may_go = [this](const auto& folder, const auto& name) { return context_.may_delete(folder, name); }};
    for (TargetFolderPointer& folder : with_others_) {
        for (const std::string& name : folder->others)
            context_.items_deleted += remove_tree(folder->folder, name, removal, context_.findings);
        release(std::move(folder));
    }
    with_others_.clear();
}

void RebuildFolders::finish_top() { release(std::move(top_)); }

}  // namespace holdfast
