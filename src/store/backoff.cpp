#include "store/backoff.h"

#include <algorithm>

#include "base/text.h"
#include "store/decorator.h"

namespace holdfast {

void Backoff::wait_or_throw(Error& error, std::string_view verb, std::string_view name, bool has_answered) {
    if (info_of(error.code()).retry != Retry::same_call) throw error;
    const Nanoseconds now = world_.clock.steady();
    if (tries_++ == 0) began_ = now;
    const auto half = static_cast<std::uint64_t>(wait_ / 2);
    const Nanoseconds next = static_cast<Nanoseconds>(half + world_.random.number() % (half + 1));
    if (now - began_ + next > (has_answered ? budget_.total : std::min(budget_.total, budget_.before_answer))) {
        if (tries_ > 1) error.add_notes({fmt::format("trying {} times in {}", tries_, human_duration(now - began_))});
        throw error;
    }
    world_.log.debug(fmt::format("{} {}: {}; again in {}", verb, name, error.message(), human_duration(next)));
    wait(world_, next);
    wait_ = std::min(2 * wait_, budget_.wait_max);
}

}  // namespace holdfast
