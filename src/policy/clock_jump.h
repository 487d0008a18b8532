// policy/clock_jump.h: did somebody set the clock? Pure.
//
// Units    nanoseconds; wall time since 1970 UTC, steady time since the machine was started
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/world.h"

namespace holdfast::policy {

constexpr Nanoseconds clock_jump_max = 600 * one_second;  // less is how clocks are kept right

struct ClockMark {
    std::string boot;  // names one run of the machine; steady times of different ones cannot be compared
    Nanoseconds steady = 0;
    Nanoseconds wall = 0;
};

// By how much the wall clock moved beyond the time that passed; 0: by no more than clock_jump_max, or nobody can tell.
Nanoseconds jump_between(const ClockMark& before, const ClockMark& now);

std::string text_of(const ClockMark& mark);  // "BOOT STEADY WALL\n"
std::optional<ClockMark> parse_clock_mark(std::string_view text);

}  // namespace holdfast::policy
