// policy/recovery_time.h: how long bringing a source back takes, by how long it took. Pure.
//
// Units    seconds
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace holdfast::policy {

constexpr std::size_t recoveries_max = 10;  // older ones were of less data, or on another machine

struct RecoveryTime {
    std::size_t count = 0;  // of restores and proofs that it is known by
    double median = 0;
    double worst = 0;
};
// Nothing: it was never measured.
std::optional<RecoveryTime> recovery_time(std::vector<double> newest_first);

}  // namespace holdfast::policy
