// sources/postgres/swap.h: gives a restored database the name of the one in use, and takes that back.
//
// Shape    shop -> shop_before_20260301T041000Z, shop_restored -> shop; back: shop -> shop_after_…, the newest
//          shop_before_… -> shop
// Errors   target_failed: sessions are open, a database is missing; nothing was renamed then
// Threads  no shared state
#pragma once

#include "source/source.h"

namespace holdfast::postgres {

std::vector<std::string> swap(const SwapRequest& request);

}  // namespace holdfast::postgres
