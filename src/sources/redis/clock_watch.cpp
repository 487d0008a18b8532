#include "sources/redis/clock_watch.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

namespace holdfast::redis {

namespace {
constexpr Nanoseconds held_up = one_second / 10;
}  // namespace

Nanoseconds ClockWatch::step() {
    Nanoseconds before = 0, wall = 0;
    do {
        before = clock_.steady();
        wall = clock_.now();
    } while (clock_.steady() - before > held_up);  // nobody knows when of that it said so
    const Nanoseconds apart = wall - before;
    const Nanoseconds step = apart - std::exchange(apart_, apart);
    return std::abs(step) > step_least ? step : 0;
}

std::string clock_was_set(Nanoseconds step) {
    return fmt::format("the clock of this machine was set {} by {} s", step < 0 ? "back" : "ahead",
                       (std::abs(step) + one_second / 2) / one_second);
}

bool lies_ahead(const Clock& clock, Nanoseconds from) { return from - clock.now() > ClockWatch::step_least; }

}  // namespace holdfast::redis
