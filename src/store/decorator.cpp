#include "store/decorator.h"

#include <algorithm>

namespace holdfast {

void wait(World& world, Nanoseconds duration) {
    constexpr Nanoseconds step = one_second / 20;
    const Nanoseconds end = world.clock.steady() + duration;
    for (Nanoseconds left = duration; left > 0; left = end - world.clock.steady()) {
        world.stop.check();
        world.clock.sleep(std::min(left, step));
    }
    world.stop.check();
}

}  // namespace holdfast
