// sandbox/sandbox.h: a private folder in which a snapshot is brought back to be proved; it goes with its owner.
//
// Shape    ROOT/<id>/ has `lock` (held by the owner), `processes` (what runs in it) and `work`, the folder itself.
//          reap() ends and removes those whose owner is gone, also by kill -9
// Errors   failed when it cannot be made, no_space; denied when ROOT could be somebody else's trap
// Threads  one owner; reap() from any process at any time
// Source   design section 6; review.md D1
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/world.h"

namespace holdfast {

// HOLDFAST_SANDBOX, else /var/tmp/holdfast-sandbox for root, else holdfast-sandbox below XDG_CACHE_HOME or ~/.cache.
std::string default_sandbox_root();

class Sandbox {
public:
    // no_space when less than `bytes_needed` are free below `root`.
    Sandbox(World& world, const std::string& root, std::uint64_t bytes_needed);
    ~Sandbox();  // ends what runs in it and removes it; what cannot be removed is logged and left to the reaper
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    World& world() const { return world_; }
    const std::string& path() const { return path_; }
    std::string work() const { return path_ + "/work"; }  // 0700, of throwaway_uid()
    // Of nobody else on this machine; without the right to become another user, the own one.
    uid_t throwaway_uid() const { return uid_; }

    // So that the reaper ends it when we cannot.
    void remember(pid_t pid);

private:
    World& world_;
    std::string path_;
    Fd lock_;
    uid_t uid_ = 0;
};

// Removes the sandboxes below `root` that nobody holds any more; returns their paths.
std::vector<std::string> reap_sandboxes(World& world, const std::string& root);

}  // namespace holdfast
