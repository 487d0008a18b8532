// engine/hooks.h: commands that run around a restore or a job: stop the application, start it, tell somebody.
//
// Shape    a hook is an argv; one that was written as a string is run by /bin/sh. What it prints goes to our stderr
// Errors   target_failed when one does not exit 0 in its time; cancelled
// Limits   an hour, or the hook's own timeout; once we are to stop, half of what a daemon waits for that. Then it is asked to
//          end, and soon killed with all of its process group
#pragma once

#include <string>
#include <vector>

#include "base/world.h"
#include "policy/hooks.h"

namespace holdfast::engine {

using policy::Hook;
using policy::Hooks;
Hook shell_hook(const std::string& line);

// What a hook finds in its environment: HOLDFAST_SOURCE and so on.
struct HookScene {
    std::string source;
    std::string target;
    std::string snapshot;
    std::string result;  // "pending" before, "ok" or "partial" after, else the slug of the error
};

// In order; the first that fails ends them.
void run_hooks(World& world, std::string_view when, const std::vector<Hook>& hooks, const HookScene& scene);

}  // namespace holdfast::engine
