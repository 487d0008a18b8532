// app/exit_order.h: which exit status counts when several things went wrong (design section 8).
#pragma once

#include <algorithm>
#include <array>

namespace holdfast::app {

constexpr int worse_exit(int a, int b) {
    // 143 is an interruption too; 10, 14 and 2 do not come from one of several sources: their place is free.
    constexpr std::array order{130, 143, 13, 12, 11, 10, 18, 17, 15, 16, 14, 2, 1, 3, 0};
    return std::ranges::find(order, a) <= std::ranges::find(order, b) ? a : b;
}

}  // namespace holdfast::app
