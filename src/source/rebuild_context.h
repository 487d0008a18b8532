// source/rebuild_context.h: what all parts of one restore into a folder share.
//
// Threads  everything may be used from any thread
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "source/findings.h"
#include "source/metadata.h"
#include "source/rebuild_target.h"
#include "source/source.h"

namespace holdfast {

// The name in the same folder that what replaces `name` has until it is complete. Equal for equal names, so that what an
// interrupted restore left is found by the next one.
std::string name_until_complete(const std::string& name);

struct RebuildContext {
    explicit RebuildContext(const RebuildRequest& asked) : request(asked), target(asked) {}

    const RebuildRequest request;
    const RebuildTarget target;
    Findings findings;
    MetadataWriter metadata{findings};
    std::atomic<std::uint64_t> items_written{0};
    std::atomic<std::uint64_t> items_unchanged{0};
    std::atomic<std::uint64_t> items_deleted{0};

    void count(bool changed) { (changed ? items_written : items_unchanged).fetch_add(1, std::memory_order_relaxed); }
    // Ends the restore when every other item would fail as well, else the item is left out.
    void failed(std::string_view verb, const std::string& item_path, int error);
    // Something of another kind lies where an item goes. True when it is (or in a dry run would be) removed;
    // else the item is left out.
    bool clear_way(const Folder::Pointer& folder, const std::string& name, const std::string& item_path,
                   unsigned found_mode);
    // Of what lies in the target and not in the snapshot.
    bool may_delete(const Folder::Pointer& folder, const std::string& name) const;
};

}  // namespace holdfast
