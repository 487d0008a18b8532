#include <array>

#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "app/recorder.h"
#include "app/run_text.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr std::array<std::string_view, 7> states{"due",    "running",     "done",   "partial",
                                                 "failed", "interrupted", "skipped"};

struct RunsChoice {
    std::string id;
    std::optional<std::string> job;
    std::optional<std::string> source;
    std::string state;  // empty: in any
    std::optional<Nanoseconds> since;
    std::uint32_t last = 20;
    bool log = false;
    bool stop = false;
};

std::string progress_of(const ledger::Run& run, Nanoseconds now) {
    const ledger::Progress& at = run.progress;
    return progress_text(printable(at.what), {at.items, at.items_total, at.bytes, at.bytes_total, now - run.started},
                         0);
}

std::string what_happened(const ledger::Run& run, Nanoseconds now) {
    if (run.state == ledger::RunState::running) return progress_of(run, now);
    if (!run.error.empty()) return run.error;
    std::vector<std::string> parts;
    for (const ledger::Outcome& each : run.outcomes)
        parts.push_back(fmt::format("{} {}", each.source,
                                    each.proof_level >= 0   ? fmt::format("{} V{}", each.result, each.proof_level)
                                    : each.snapshot.empty() ? each.result
                                                            : each.snapshot.substr(0, 8)));
    return join(parts, ", ");
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void print_table(Context& context, const std::vector<ledger::Run>& runs) {
    const Nanoseconds now = context.world.clock.now();
    using enum Table::Align;
    Table table({{"RUN", left},
                 {"JOB", left},
                 {"VERB", left},
                 {"STARTED", left},
                 {"TOOK", right},
                 {"STATE", left},
                 {"WHAT", left}});
    for (const ledger::Run& run : runs) {
        const Nanoseconds end = run.ended > 0 ? run.ended : now;
        table.add({run.id.substr(0, 8), run.job.empty() ? "-" : run.job, run.verb,
                   run.started > 0 ? local_time(run.started) : "at " + local_time(run.start_at),
                   run.started > 0 ? human_duration(end - run.started) : "",
                   std::string(name_of(run.state)) + (run.attempt > 1 ? fmt::format(" (try {})", run.attempt) : ""),
                   first_line(what_happened(run, now))});
    }
    if (table.empty()) return context.out.say("no run is recorded yet");
    table.print(context.out);
}

void print_run(Context& context, const ledger::Ledger& ledger, const ledger::Run& run, bool with_log) {
    Output& out = context.out;
    if (out.is_json()) {
        Json json = json_of(run);
        json["log"] = ledger.log(run.id);
        out.record({{"schema", "holdfast.runs/1"}, {"runs", Json::array({json})}});
        return;
    }
    const Nanoseconds now = context.world.clock.now();
    if (!with_log) {
        out.line(
            fmt::format("run {}: {} {}", run.id, run.job.empty() ? run.verb : "job " + run.job, name_of(run.state)));
        if (run.started > 0) out.line("  started  " + local_time(run.started));
        if (run.ended > 0) out.line("  ended    " + local_time(run.ended));
        out.line("  host     " + printable(run.host));
        for (const ledger::Outcome& each : run.outcomes)
            out.line(fmt::format("  {}  {} {} {}", printable(each.source), each.result, each.snapshot.substr(0, 8),
                                 printable(each.error)));
        if (!run.error.empty()) out.line("  error    " + printable(run.error));
        if (run.state == ledger::RunState::running) out.line("  now      " + progress_of(run, now));
        return;
    }
    out.bytes(as_bytes(ledger.log(run.id)));
}

int run_runs(Context& context, const RunsChoice& choice) {
    const auto ledger = open_ledger(context);
    if (!choice.id.empty()) {
        const auto run = ledger->find(choice.id);
        if (!run) throw Error{Code::not_found, "there is no run {}", choice.id}.hint("`holdfast runs` lists them.");
        if (choice.stop) {
            if (run->state != ledger::RunState::running)
                throw Error{Code::usage, "run {} does not run: it is {}", run->id, name_of(run->state)};
            ledger->request_stop(run->id);
            context.out.say("asked run " + run->id + " to stop");
            return 0;
        }
        print_run(context, *ledger, *run, choice.log);
        return 0;
    }
    if (choice.stop || choice.log) throw Error{Code::usage, "--log and --stop go with one run"}.hint("Give its id.");
    ledger::RunFilter filter{.job = choice.job, .source = choice.source, .state = {}};
    if (!choice.state.empty()) filter.state = ledger::state_named(choice.state);
    if (choice.since) filter.since = context.world.clock.now() - *choice.since;
    filter.count_max = choice.last;
    const std::vector<ledger::Run> runs = ledger->runs(filter);
    if (context.out.is_json()) {
        Json list = Json::array();
        for (const ledger::Run& run : runs) list.push_back(json_of(run));
        context.out.record({{"schema", "holdfast.runs/1"}, {"runs", list}});
    } else {
        print_table(context, runs);
    }
    return 0;
}

}  // namespace

Command runs_command() {
    const auto choice = std::make_shared<RunsChoice>();
    Command out;
    out.name = "runs";
    out.part = Part::run;
    out.ends_with_its_reader = true;
    out.summary = "list what ran, what runs and how far it is";
    out.details =
        "Runs of jobs and of commands by hand, newest first. With the id of one: all about it; --log prints what it "
        "said, "
        "also while it runs.\n"
        "States: due, running, done, partial (a required copy or some items are missing), failed, interrupted (its "
        "process went away), skipped (the one before had not ended).";
    out.examples = {{"holdfast runs --job nightly", "of one job"},
                    {"holdfast runs 7c19 --log", "what it said"},
                    {"holdfast runs --state failed --since 7d", "what went wrong this week"}};
    out.options.word(choice->id, "RUN", "its id, or how it begins");
    out.options.value(choice->job, "--job", "NAME", "of this job");
    out.options.value(choice->source, "--source", "NAME", "that worked on this source").offers =
        Option::Offers::sources;
    out.options.one_of(choice->state, "--state", "STATE", states,
                       "due, running, done, partial, failed, interrupted or skipped");
    out.options.duration(choice->since, "--since", "AGE", "not older than this");
    out.options.number(choice->last, "--last", "N", "at most so many (default 20)");
    out.options.flag(choice->log, "--log", "print the run's log");
    out.options.flag(choice->stop, "--stop", "ask the run to stop, wherever it runs");
    out.run = [choice](Context& context) { return run_runs(context, *choice); };
    return out;
}

}  // namespace holdfast::app
