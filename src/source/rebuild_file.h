// source/rebuild_file.h: one regular file of a restore, while its bytes come in.
//
// Shape    a new file is made at the first write under its own name, and gets its times when it is complete:
//          so one that was interrupted is known by its times. An existing one that is updated is compared
//          with what comes in, and only what differs is written; one that cannot be is replaced when the new one is
//          complete
// Errors   as RebuildContext::failed; after that the file is given up and further writes do nothing
// Threads  write() from any thread; end() and abandon() once, after the last write
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "source/rebuild_context.h"
#include "source/rebuild_folders.h"

namespace holdfast {

class RebuildFile {
public:
    enum class Way : std::uint8_t { make, update, replace };

    RebuildFile(RebuildContext& context, TargetFolderPointer folder, std::string name, const Item& item, Way way);
    ~RebuildFile();
    RebuildFile(const RebuildFile&) = delete;
    RebuildFile& operator=(const RebuildFile&) = delete;

    // Makes it now, so that it can be linked to. False when it cannot be made.
    bool create();
    void write(std::uint64_t offset, ByteView bytes);
    // True when the file is there now, with all its metadata.
    bool end();
    // A file that was there before stays: how many of its bytes were overwritten. Nothing when there was none.
    std::optional<std::uint64_t> abandon();
    const TargetFolderPointer& folder() const { return folder_; }

private:
    FdCache::Pin open();
    void begin_update(OpenedFd& file);
    OpenedFd make_new(int folder);
    bool take_place();
    void give_up(std::string_view verb, int error);
    void write_all(int fd, std::uint64_t offset, ByteView bytes);
    void write_differing(int fd, std::uint64_t offset, ByteView bytes);
    void note_written(std::uint64_t offset, std::uint64_t bytes);
    bool fit_size(int fd);
    bool clear(int fd, std::uint64_t from, std::uint64_t to);

    RebuildContext& context_;
    const TargetFolderPointer folder_;
    const std::string name_;
    const std::string path_;
    const std::uint64_t size_;
    const Metadata metadata_;
    std::atomic<bool> given_up_{false};
    std::atomic<std::uint64_t> end_{0};  // of what was written
    std::atomic<std::uint64_t> overwritten_{0};
    FdCache::Slot slot_;
    // The kernel lets one thread write to a file at a time, and the others wait there without giving up the processor.
    std::mutex writing_;

    std::mutex mutex_;
    // guarded by mutex_
    Way way_;
    std::string at_;       // the name it has now
    bool exists_ = false;  // it was made or opened before
    Present present_;
    std::uint64_t old_size_ = 0;
    std::map<std::uint64_t, std::uint64_t> written_;  // of an updated file: from, to
};

}  // namespace holdfast
