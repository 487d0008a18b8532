#include "policy/pick.h"

#include <algorithm>
#include <array>
#include <vector>

namespace holdfast::policy {

std::size_t pick_by_age(std::span<const Nanoseconds> ages, Random& random) {
    constexpr Nanoseconds day = 86'400 * one_second;
    constexpr std::array<Nanoseconds, 5> ends{day, 7 * day, 31 * day, 92 * day, 366 * day};
    std::array<std::vector<std::size_t>, ends.size() + 1> classes;
    for (std::size_t i = 0; i < ages.size(); ++i)
        classes[static_cast<std::size_t>(std::ranges::lower_bound(ends, ages[i]) - ends.begin())].push_back(i);
    std::vector<const std::vector<std::size_t>*> filled;
    for (const auto& each : classes)
        if (!each.empty()) filled.push_back(&each);
    const std::vector<std::size_t>& chosen = *filled[random.number() % filled.size()];
    return chosen[random.number() % chosen.size()];
}

}  // namespace holdfast::policy
