#include "app/app.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "app/command.h"
#include "app/context.h"
#include "app/help.h"
#include "app/output.h"
#include "app/parse.h"
#include "app/recorder.h"
#include "app/traffic.h"
#include "app/version.h"
#include "base/error.h"
#include "base/file.h"

namespace holdfast::app {

namespace {

// `--dry-run` does nothing that would be worth a record, and who follows goes on until it is stopped.
bool does_something(const std::vector<std::string>& words) {
    return std::ranges::none_of(words, [](const std::string& word) {
        return word == "--dry-run" || word == "-n" || word == "--plan" || word == "--explain" || word == "--follow";
    });
}

int execute(const Command& command, const std::vector<std::string>& words, Context& context) {
    // Whoever only looks may be ended by the reader going away, as other tools are.
    if (command.ends_with_its_reader) std::signal(SIGPIPE, SIG_DFL);
    const auto keep_count = [&] {
        for (const auto& [url, meter] : context.traffic())
            keep_traffic(state_folder(), url, command.name, meter->traffic(), context.world);
    };
    const auto run = [&] { return command.run(context); };
    try {
        const int exit =
            command.is_recorded && does_something(words) ? recorded_by_hand(context, command.name, run) : run();
        keep_count();
        context.out.finish();
        return exit;
    } catch (...) {
        keep_count();
        throw;
    }
}

// Whoever reads standard input after that, such as a source, finds it empty.
std::string config_of_stdin() {
    std::string out = read_config("/dev/stdin");
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (::dup2(nothing.get(), STDIN_FILENO) < 0) throw Error{Code::failed, "dup2: {}", errno_text(errno)};
    return out;
}

int run_words(const std::vector<std::string>& words, World& world, Output& out) {
    Globals globals;
    const Options options = global_options(globals);
    const std::vector<Command> commands = all_commands();
    const Call call = parse(commands, options, words);
    if (call.wants_version) {
        out.line(fmt::format("holdfast {}", version));
    } else if (call.wants_help) {
        out.bytes(as_bytes(help_text(commands, options, call.help_for)));
    }
    if (call.command == nullptr) {
        out.finish();
        return words.empty() ? info_of(Code::usage).exit_status : 0;
    }
    if (globals.quiet && globals.verbose) throw Error{Code::usage, "--quiet and --verbose do not go together"};
    out.style = globals.json ? Style::json : Style::people;
    out.quiet = globals.quiet;
    out.verbose = globals.verbose;
    if (globals.config_stdin) globals.config_text = config_of_stdin();
    Context context(world, out, globals, call.command_line);
    return execute(*call.command, words, context);
}

}  // namespace

int run(const std::vector<std::string>& argv) {
    const std::vector<std::string> words(argv.begin() + (argv.empty() ? 0 : 1), argv.end());
    Output out;
    out.style = wants_json(words) ? Style::json : Style::people;
    OutputLog log(out);
    static Stop stop;  // a signal handler holds on to it for as long as the process lives
    World world{system_clock(), system_random(), stop, log};
    stop_on_signals(stop);
    try {
        return run_words(words, world, out);
    } catch (...) {
        const Error error = as_error(std::current_exception());
        out.error(error);
        return error.exit_status();
    }
}

}  // namespace holdfast::app
