#include "app/command.h"
#include "app/completion.h"
#include "app/context.h"
#include "base/error.h"

namespace holdfast::app {

namespace {

int run_completion(Context& context, const std::string& shell) {
    Globals unused;
    const Options globals = global_options(unused);
    const std::vector<Command> commands = all_commands();
    std::string text;
    if (shell == "bash") {
        text = bash_completion(commands, globals);
    } else if (shell == "zsh") {
        text = zsh_completion(commands, globals);
    } else if (shell == "fish") {
        text = fish_completion(commands, globals);
    } else {
        throw Error{Code::usage, "completions exist for bash, zsh and fish, not for {}", shell};
    }
    context.out.bytes(as_bytes(text));
    return 0;
}

}  // namespace

Command completion_command() {
    const auto shell = std::make_shared<std::string>();
    Command out;
    out.name = "completion";
    out.part = Part::hidden;
    out.summary = "print completions for a shell";
    out.examples = {{"holdfast completion bash > /etc/bash_completion.d/holdfast", ""}};
    out.options.word(*shell, "SHELL", "bash, zsh or fish").required = true;
    out.run = [shell](Context& context) { return run_completion(context, *shell); };
    return out;
}

Command names_command() {
    const auto kind = std::make_shared<std::string>();
    Command out;
    out.name = "names";
    out.part = Part::hidden;
    out.summary = "print names of the configuration, for completions";
    out.options.word(*kind, "KIND", "sources or environments").required = true;
    out.run = [kind](Context& context) {
        const Config& config = context.config();
        if (*kind == "sources")
            for (const SourceConfig& each : config.sources) context.out.line(each.name);
        else if (*kind == "environments")
            for (const EnvironmentConfig& each : config.environments) context.out.line(each.name);
        else
            throw Error{Code::usage, "there are names of sources and environments, not of {}", *kind};
        return 0;
    };
    return out;
}

Command man_command() {
    Command out;
    out.name = "man";
    out.part = Part::hidden;
    out.summary = "print the man page";
    out.run = [](Context& context) {
        Globals unused;
        context.out.bytes(as_bytes(man_page(all_commands(), global_options(unused))));
        return 0;
    };
    return out;
}

}  // namespace holdfast::app
