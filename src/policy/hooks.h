// policy/hooks.h: commands that run around a restore or a job, as the configuration names them. Plain data.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/world.h"

namespace holdfast::policy {

struct Hook {
    std::vector<std::string> argv;
    std::optional<Nanoseconds> timeout{};  // nothing: an hour
};

struct Hooks {
    std::vector<Hook> before;
    std::vector<Hook> after;
    std::vector<Hook> on_failure;
    bool empty() const { return before.empty() && after.empty() && on_failure.empty(); }
};

}  // namespace holdfast::policy
