// sources/files/file_clock.h: whether a file may change once more without its stat showing it.
//
// Shape    the kernel stamps changes with a clock that ticks every few milliseconds: two changes within one
//          tick look like one. So what was stat'ed in the tick of its last change is stat'ed again after it
// Threads  no shared state
#pragma once

#include <ctime>

#include "sources/files/entry.h"

namespace holdfast::files {

timespec now_of_file_times();
bool is_before(const statx_timestamp& a, const timespec& b);
// Changed so shortly before `since` that a later change may get the same time.
bool is_fresh(const Stat& stat, const timespec& since);
// Until a change would get a later time than `stamp`, or not at all when that takes too long: the stamp comes from another
// machine's clock.
void wait_until_past(const statx_timestamp& stamp, timespec (*now_of_clock)());

}  // namespace holdfast::files
