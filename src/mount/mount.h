// mount/mount.h: snapshots as a read-only file system.
//
// Shape    ids/ID/… the trees; sources/SOURCE/TIME and latest lead there. Or one snapshot's folder alone
// Errors   failed when FUSE cannot mount there (says why); what cannot be read later is EIO and a warning
// Threads  FUSE's own; mount() returns when it was unmounted, or a signal came
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/browse.h"

namespace holdfast::mount {

struct MountRequest {
    std::string folder;                            // an empty one that exists
    std::vector<const repo::Snapshot*> snapshots;  // oldest first
    std::optional<std::string> only;               // this folder of the one snapshot is all there is
    bool allow_other = false;                      // users other than the one who mounts may look
};

// `mounted` is called once it can be used.
void mount(repo::Repository& repository, const MountRequest& request, const std::function<void()>& mounted);

// As it stands in sources/: '/' and '%' are written %2F and %25.
std::string folder_name(std::string_view source);

}  // namespace holdfast::mount
