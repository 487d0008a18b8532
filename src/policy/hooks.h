// policy/hooks.h: commands that run around a restore or a job, as the configuration names them. Plain data.
#pragma once

#include <string>
#include <vector>

namespace holdfast::policy {

struct Hook {
    std::vector<std::string> argv;
};

struct Hooks {
    std::vector<Hook> before;
    std::vector<Hook> after;
    std::vector<Hook> on_failure;
    bool empty() const { return before.empty() && after.empty() && on_failure.empty(); }
};

}  // namespace holdfast::policy
