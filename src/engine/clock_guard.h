// engine/clock_guard.h: no retention by a clock that jumped.
//
// Shape    the client's folder keeps wall and steady time of the last look; in one boot of a machine both advance alike
// Errors   retention when they did not, or when the newest snapshot was received later than now
#pragma once

#include "repo/repository.h"

namespace holdfast::engine {

// With `trust` the present clock is taken as right.
void check_clock(const repo::Repository& repository, bool trust);

}  // namespace holdfast::engine
