// sources/redis/clock_watch.h: whether this machine's clock was set, by what has passed on the steady one meanwhile.
//
// Threads  one at a time
#pragma once

#include <string>

#include "base/world.h"

namespace holdfast::redis {

class ClockWatch {
public:
    explicit ClockWatch(const Clock& clock) : clock_(clock), apart_(clock.now() - clock.steady()) {}

    // By how much it was set since the last look; 0: it was not, or by so little that it may have been brought there
    // slowly.
    Nanoseconds step();

    static constexpr Nanoseconds step_least = one_second;

private:
    const Clock& clock_;
    Nanoseconds apart_;  // wall from steady
};

// "the clock of this machine was set back by 3600 s"
std::string clock_was_set(Nanoseconds step);

// Changes up to `from` were dated by a clock that has been set back since: what follows cannot be dated after them.
bool lies_ahead(const Clock& clock, Nanoseconds from);
constexpr const char* dated_ahead = "the clock of this machine was set back behind what was followed";

}  // namespace holdfast::redis
