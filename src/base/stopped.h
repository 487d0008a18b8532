// base/stopped.h: did somebody want the work to end? Such an error says nothing about what was worked on.
#pragma once

#include "base/error.h"

namespace holdfast {

constexpr bool is_stop(Code code) { return code == Code::cancelled || code == Code::terminated; }

}  // namespace holdfast
