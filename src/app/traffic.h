// app/traffic.h: what the commands of this machine asked of a repository's store, the last run of each.
//
// Shape    `<client folder>/traffic/<hash of the store's URL>`: JSON, one entry a command
// Errors   none: what cannot be read is empty, what cannot be kept is a warning
#pragma once

#include <string>

#include "app/json.h"
#include "base/world.h"
#include "store/measure.h"

namespace holdfast::app {

Json json_of(const StoreTraffic& traffic);

void keep_traffic(const std::string& folder, const std::string& url, const std::string& command,
                  const StoreTraffic& traffic, World& world);
// {"backup": {"time": …, "requests": …, …}, …}
Json kept_traffic(const std::string& folder, const std::string& url, World& world);

}  // namespace holdfast::app
