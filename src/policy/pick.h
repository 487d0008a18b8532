// policy/pick.h: which of many is looked at, when all cannot be.
#pragma once

#include <cstddef>
#include <span>

#include "base/world.h"

namespace holdfast::policy {

// One of these ages by chance, but first an age class (a day, a week, a month, a quarter, a year, older), each that has any as
// likely as another: among many recent ones the old are not passed over. `ages` is not empty.
std::size_t pick_by_age(std::span<const Nanoseconds> ages, Random& random);

}  // namespace holdfast::policy
