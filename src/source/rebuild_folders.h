// source/rebuild_folders.h: the folders of a restore: made when their item comes, finished when all in them
// is.
//
// Shape    items come in tree order, so a stack of the folders on the way to the present one is enough. A
//          folder gets its metadata when the way has left it and every file begun in it has ended: what is
//          put into it would change its times, and its mode may forbid it
// Errors   a folder that cannot be made is a finding, and so is all below it; target_failed, no_space
// Threads  enter(), make(), leave_all(), remove_others() from one thread; release() from any
// Limits   sub-folders that were begun but not entered are held in about 150 bytes each
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "source/partial_mark.h"
#include "source/rebuild_context.h"

namespace holdfast {

struct TargetFolder {
    TargetFolder() = default;
    ~TargetFolder();
    TargetFolder(const TargetFolder&) = delete;
    TargetFolder& operator=(const TargetFolder&) = delete;

    struct SubFolder {
        std::string name;
        std::optional<Metadata> metadata;
        Wholeness wholeness = Wholeness::leading;
        bool existed = false;
        bool is_blocked = false;  // something is in its way: nothing is put into it
    };

    // fixed after construction
    std::shared_ptr<TargetFolder> above;
    std::string name;
    Folder::Pointer folder;            // none in a dry run when it does not exist
    std::optional<Metadata> metadata;  // none for a folder that the snapshot does not list
    Present present;
    bool existed = false;
    bool is_blocked = false;
    bool is_plain = false;                     // see RebuildTarget::is_plain
    Wholeness wholeness = Wholeness::leading;  // not whole: what the snapshot lacks of it may well exist

    // used by the thread that begins items
    std::deque<SubFolder> sub_folders;  // begun, not entered; by name
    std::vector<std::string> names;     // of items in it, when others are to be deleted
    std::vector<std::string> others;

    // The way through it, each file begun in it that has not ended, each sub-folder entered and not finished.
    std::atomic<std::uint64_t> unfinished{1};

    std::string item_path() const;  // put together when asked for: many such paths of deep folders are much memory
};
using TargetFolderPointer = std::shared_ptr<TargetFolder>;

class RebuildFolders {
public:
    explicit RebuildFolders(RebuildContext& context);

    // The metadata of the target itself.
    void set_top(const Item& item);
    // The folder by its path below the target, '/'-separated, "" for the target.
    const TargetFolderPointer& enter(std::string_view path);
    void make(const TargetFolderPointer& in, const std::string& name, const Item& item);
    void hold(TargetFolder& folder) { folder.unfinished.fetch_add(1, std::memory_order_relaxed); }
    void release(TargetFolderPointer folder);

    void leave_all();
    // Only after leave_all(): what lies in folders of the snapshot that it does not have.
    void remove_others();
    // After everything else.
    void finish_top();

private:
    void leave();
    void push(TargetFolder::SubFolder sub);
    void look_at(TargetFolder& folder);
    void find_others(const TargetFolderPointer& folder);
    void finish(TargetFolder& folder);
    void make_here(const TargetFolderPointer& in, TargetFolder::SubFolder& sub, const std::string& item_path);

    RebuildContext& context_;
    std::vector<TargetFolderPointer> way_;  // the target first
    std::string path_;                      // of the last of them
    TargetFolderPointer top_;
    std::vector<TargetFolderPointer> with_others_;
};

}  // namespace holdfast
