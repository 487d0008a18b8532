// app/patience.h: how long a store that does not answer is asked again.
//
// Errors   usage: HOLDFAST_PATIENCE is no duration
#pragma once

#include "base/world.h"

namespace holdfast::app {

Nanoseconds patience_or(Nanoseconds usual);

}  // namespace holdfast::app
