// base/position.h: places in a source's change log.
//
// Units    nanoseconds since 1970 UTC
#pragma once

#include <cstdint>
#include <string>

#include "base/world.h"

namespace holdfast {

struct Position {
    std::string line;      // names one unbroken history: a replication id, a timeline, a replica set
    std::uint64_t at = 0;  // only grows within a line
    auto operator<=>(const Position&) const = default;
};

// All changes up to `position` are in; `time` is when the last of them was made, by the source's clock where it has one.
struct Moment {
    Position position;
    Nanoseconds time = 0;
    bool operator==(const Moment&) const = default;
};

// What was made within it has no time: nobody looked. Restored as it was at `from`.
struct Pause {
    Nanoseconds from = 0;
    Nanoseconds to = 0;
    bool operator==(const Pause&) const = default;
};

}  // namespace holdfast
