// engine/rounds.h: what is done again and again until the world stops.
//
// Errors   of the work, unless another try may help: unreachable, no_space, busy
// Threads  one
#pragma once

#include <functional>

#include "base/error.h"
#include "base/world.h"

namespace holdfast::engine {

struct Rounds {
    Nanoseconds every = 10 * one_second;
    Nanoseconds wait_max = 60 * one_second;  // between tries when a store does not answer
};
// `trouble` is told what kept a round from its end, and how long it is until the next.
void go_on(World& world, const Rounds& rounds, const std::function<void()>& round,
           const std::function<void(const Error&, Nanoseconds wait)>& trouble);

}  // namespace holdfast::engine
