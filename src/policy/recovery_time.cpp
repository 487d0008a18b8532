#include "policy/recovery_time.h"

#include <algorithm>

namespace holdfast::policy {

std::optional<RecoveryTime> recovery_time(std::vector<double> newest_first) {
    if (newest_first.empty()) return std::nullopt;
    newest_first.resize(std::min(newest_first.size(), recoveries_max));
    std::ranges::sort(newest_first);
    return RecoveryTime{newest_first.size(), newest_first[newest_first.size() / 2], newest_first.back()};
}

}  // namespace holdfast::policy
