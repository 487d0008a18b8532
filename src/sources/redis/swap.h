// sources/redis/swap.h: a database that was restored beside takes the place of the one in use, by SWAPDB.
//
// Errors   target_failed, usage; nothing was swapped then
#pragma once

#include "source/source.h"

namespace holdfast::redis {

std::vector<std::string> swap(const SwapRequest& request);

}  // namespace holdfast::redis
