// sandbox/mount_lock.h: takes rights from a mount and from all that is mounted below it.
//
// Shape    flags are MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC. For a child between clone and exec: nothing is allocated
// Errors   0, or an errno; then some mounts may have been changed and others not
#pragma once

namespace holdfast {

int lock_mounts(const char* top, unsigned long flags);
// The same for kernels before 5.12, which change one mount at a time.
int lock_mounts_one_by_one(const char* top, unsigned long flags);

}  // namespace holdfast
