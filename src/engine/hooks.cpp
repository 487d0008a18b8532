#include "engine/hooks.h"

#include <csignal>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast::engine {

namespace {

constexpr std::chrono::milliseconds look_every{200};

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
    while (true) {
        if (const auto status = child.wait_until(std::chrono::steady_clock::now() + look_every)) return *status;
        if (may_be_stopped && world.stop.requested()) {
            child.kill(SIGTERM);
            world.stop.check();
        }
    }
}

}  // namespace

Hook shell_hook(const std::string& line) { return {{"/bin/sh", "-c", line}}; }

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
