// store/backoff.h: when to ask a store again that did not answer.
//
// Shape    Backoff backoff(world, budget); while (true) try { … } catch (Error& error) { backoff.wait_or_throw(error, …); }
// Units    nanoseconds of the world's steady clock
// Errors   the error itself, with a note of the tries, when its code does not say `same_call` or the budget is used up;
//          cancelled or terminated while it waits
// Threads  one for each call of a store
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/world.h"

namespace holdfast {

struct RetryBudget {
    Nanoseconds total = 60 * one_second;          // from the first failure of a call; no try begins later
    Nanoseconds before_answer = 60 * one_second;  // the same while the store has not answered once
    Nanoseconds first_wait = one_second / 4;
    Nanoseconds wait_max = 10 * one_second;
};

// The waits between the tries double, and each is of random length, so that many clients of a store that comes back do
// not all ask at once.
class Backoff {
public:
    Backoff(World& world, const RetryBudget& budget) : world_(world), budget_(budget), wait_(budget.first_wait) {}

    // Returns when it is time for the next try.
    void wait_or_throw(Error& error, std::string_view verb, std::string_view name, bool has_answered);

private:
    World& world_;
    const RetryBudget& budget_;
    Nanoseconds wait_;
    Nanoseconds began_ = 0;
    std::uint64_t tries_ = 0;
};

}  // namespace holdfast
