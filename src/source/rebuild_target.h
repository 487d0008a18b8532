// source/rebuild_target.h: the folder that a restore goes to: made or examined, and marked while it is
// unfinished.
//
// Shape    `.holdfast-restore` in the target names the snapshot, what of it was asked for, and the boot of the
//          machine; it is written before the first item and removed after the last. With it, the same restore is taken
//          up again: for another one, what lies there may be other bytes of the same size and time, or half a file
// Errors   target_failed when the folder is not empty, cannot be made or cannot be written, busy when another
//          restore writes to it; nothing was written then
// Threads  immutable after construction
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "source/folder.h"
#include "source/source.h"

namespace holdfast {

constexpr std::string_view restore_marker = ".holdfast-restore";

class RebuildTarget {
public:
    static constexpr std::size_t open_fds_max = 384;

    explicit RebuildTarget(const RebuildRequest& request);

    const std::string& path() const { return path_; }
    FdCache& cache() const { return *cache_; }
    // Nothing in a dry run when there is no such folder.
    const Folder::Pointer& folder() const { return folder_; }
    bool was_made() const { return was_made_; }  // by this restore, or where this one takes up an earlier one, by that
    bool was_empty() const { return was_empty_; }
    // An existing file of equal size and time has been restored before. Not so after the machine went down:
    // what was written last may be missing.
    bool trusts_times() const { return trusts_times_; }
    // A new file in it, or in folders made in it, belongs to this user and group, has the mode it was made
    // with less the umask, and nothing else; when it may not be so, what was made must be looked at.
    bool is_plain() const { return is_plain_; }
    std::uint32_t uid() const { return uid_; }
    std::uint32_t gid() const { return gid_; }
    std::uint32_t umask() const { return umask_; }
    // Everything is on disk when it returns.
    void sync() const;
    void remove_marker() const;

private:
    void open_or_make(bool is_dry_run);
    void take_up(const RebuildRequest& request, bool is_alone);
    void write_marker(const RebuildRequest& request);
    void hold(Fd marker);
    [[noreturn]] void fail(std::string_view verb, int error) const;

    std::string path_;
    const std::shared_ptr<FdCache> cache_ = std::make_shared<FdCache>(open_fds_max);
    Folder::Pointer folder_;
    bool was_made_ = false;
    bool was_empty_ = true;
    bool trusts_times_ = true;
    bool is_plain_ = false;
    Fd marker_;  // locked while we write
    std::uint32_t uid_ = 0;
    std::uint32_t gid_ = 0;
    std::uint32_t umask_ = 0;
};

// Whether files made in this open folder inherit its group or an ACL.
bool gives_to_new_files(int folder);

}  // namespace holdfast
