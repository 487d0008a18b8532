// sources/files/capture.h: one walk over the paths of a files source.
//
// Shape    a batch's handle is its Folder; items are completed and opened by name in it, so no path is
//          resolved twice
// Errors   see source/source.h; paths that do not exist are findings, and source_failed in the end when none
//          does
// Threads  as Capture says
// Limits   folder_fds_max descriptors, and one for each open ItemData
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "source/findings.h"
#include "source/folder.h"
#include "source/partial_mark.h"
#include "sources/files/entry.h"
#include "sources/files/roots.h"
#include "sources/files/walker.h"

namespace holdfast::files {

// Names of users or groups by number; each is looked up once.
class IdNames {
public:
    enum class Kind : std::uint8_t { user, group };
    explicit IdNames(Kind kind) : kind_(kind) {}
    std::string name(std::uint32_t id);  // empty when it has none

private:
    const Kind kind_;
    std::shared_mutex mutex_;
    // guarded by mutex_
    std::unordered_map<std::uint32_t, std::string> known_;
};

class FilesCapture final : public Capture {
public:
    static constexpr std::size_t folder_fds_max = 256;

    // `paths` are absolute.
    FilesCapture(World& world, std::string source, const std::vector<std::string>& paths, WalkOptions options);
    bool next(Batch& batch) override;
    std::optional<Finding> complete(const Batch& batch, Item& item) override;
    Opened open(const Batch& batch, const Batch::Entry& entry) override;
    CaptureSummary finish() override;

private:
    void add_paths();
    void add_path(const std::string& path);
    bool is_reached_without_symlink(const std::string& path) const;
    void tell_of_symlink(const std::string& path);
    // Where an item lies among the paths of the source.
    struct Within {
        bool is_whole = false;   // in one of them, or it is one
        std::string_view given;  // the nearest of them, of the item's path
        bool leads_on = false;   // there are others below it
    };
    Within within_of(std::string_view path) const;
    Wholeness how_captured(int folder, const char* name, const Item& item);
    Finding told(std::string path, int error);

    World& world_;
    const std::string source_;
    const std::vector<std::string> paths_;
    const WalkOptions options_;
    const std::shared_ptr<FdCache> cache_ = std::make_shared<FdCache>(folder_fds_max);
    const Folder::Pointer slash_;
    const bool is_root_user_;
    Root top_;
    bool has_path_ = false;
    LinkNumbers links_;
    Findings findings_;
    IdNames users_{IdNames::Kind::user};
    IdNames groups_{IdNames::Kind::group};
    std::mutex told_mutex_;
    std::set<std::string, std::less<>> told_;  // guarded by told_mutex_: paths that the caller has a finding of
    std::unique_ptr<Walker> walker_;
};

}  // namespace holdfast::files
