#include "engine/rounds.h"

#include <algorithm>

#include "base/stopped.h"
#include "store/decorator.h"

namespace holdfast::engine {

namespace {

bool is_worth_another_try(const Error& error) {
    return error.code() == Code::unreachable || error.code() == Code::no_space || error.code() == Code::busy;
}

}  // namespace

void go_on(World& world, const Rounds& rounds, const std::function<void()>& round,
           const std::function<void(const Error&, Nanoseconds wait)>& trouble) {
    Nanoseconds patience = one_second;
    while (true) {
        Nanoseconds pause = rounds.every;
        try {
            try {
                round();
                patience = one_second;
            } catch (const Error& error) {
                if (!is_worth_another_try(error)) throw;
                pause = patience;
                patience = std::min(2 * patience, rounds.wait_max);
                trouble(error, pause);
            }
            wait(world, pause);
        } catch (const Error& error) {
            if (is_stop(error.code())) return;
            throw;
        }
    }
}

}  // namespace holdfast::engine
