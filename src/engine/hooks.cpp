#include "engine/hooks.h"

#include <csignal>
#include <functional>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast::engine {

namespace {

constexpr std::chrono::milliseconds look_every{100};
constexpr Nanoseconds timeout_usual = 3600 * one_second;
constexpr Nanoseconds timeout_stopped = 15 * one_second;
constexpr Nanoseconds end_wait = 5 * one_second;  // from asking it to end to killing it

// Nothing when it still runs at the deadline, which is steady time, or when `is_enough`.
std::optional<ExitStatus> wait(
    World& world, Child& child, Nanoseconds deadline, const std::function<bool()>& is_enough = [] { return false; }) {
    while (true) {
        if (const auto status = child.wait_until(std::chrono::steady_clock::now() + look_every)) return status;
        if (is_enough() || world.clock.steady() >= deadline) return std::nullopt;
    }
}

ExitStatus run(World& world, const Hook& hook, const HookScene& scene) {
    ChildOptions options;
    options.argv = hook.argv;
    options.add_environment = {{"HOLDFAST_SOURCE", scene.source},
                               {"HOLDFAST_TARGET", scene.target},
                               {"HOLDFAST_SNAPSHOT", scene.snapshot},
                               {"HOLDFAST_RESULT", scene.result}};
    options.capture_stdout = false;
    options.capture_stderr = false;
    Child child(options);
    // After Ctrl-C hooks of a failure still run; a second one ends the process.
    const bool may_be_stopped = !world.stop.requested();
    const Nanoseconds given = hook.timeout.value_or(timeout_usual);
    const Nanoseconds timeout = may_be_stopped ? given : std::min(given, timeout_stopped);
    const auto stopped = [&] { return may_be_stopped && world.stop.requested(); };
    if (const auto status = wait(world, child, world.clock.steady() + timeout, stopped)) return *status;
    child.kill(SIGTERM);
    if (!wait(world, child, world.clock.steady() + end_wait)) child.kill(SIGKILL);
    if (stopped()) world.stop.check();
    throw Error{Code::failed, "it took longer than {}", human_duration(timeout)};
}

}  // namespace

Hook shell_hook(const std::string& line) { return {.argv = {"/bin/sh", "-c", line}}; }

void run_hooks(World& world, std::string_view when, const std::vector<Hook>& hooks, const HookScene& scene) {
    for (const Hook& hook : hooks) {
        const std::string text = join(hook.argv, " ");
        const auto fail = [&](const std::string& why) {
            throw Error{Code::target_failed, "the hook {} failed: {}: {}", when, text, why};
        };
        try {
            if (const ExitStatus status = run(world, hook, scene); !status.ok()) fail(status.text());
        } catch (const Error& error) {
            if (error.code() != Code::not_found && error.code() != Code::failed) throw;
            fail(error.message());
        }
    }
}

}  // namespace holdfast::engine
