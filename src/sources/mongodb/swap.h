// sources/mongodb/swap.h: gives a restored database the name of the one in use, and takes that back.
//
// Shape    shop -> shop_before_20260301T041000Z, shop_restored -> shop, collection by collection; back: shop -> shop_after_…,
//          the newest shop_before_… -> shop
// Errors   target_failed: a database is missing (nothing was renamed), or a rename failed (what was renamed is named)
// Limits   servers copy what goes to another database; not all collections change at one instant
#pragma once

#include "source/source.h"

namespace holdfast::mongodb {

std::vector<std::string> swap(const SwapRequest& request);

}  // namespace holdfast::mongodb
