#include "app/command.h"
#include "app/context.h"
#include "app/followers.h"
#include "app/job_health.h"
#include "app/recorder.h"
#include "app/run_text.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

struct JobLine {
    const policy::Job* job = nullptr;
    std::optional<ledger::Run> last;
    std::optional<ledger::Run> last_done;
    std::optional<Nanoseconds> next;
    bool overdue = false;
};

std::vector<JobLine> lines_of(Context& context, const ledger::Ledger& ledger) {
    const Nanoseconds now = context.world.clock.now();
    std::vector<JobLine> out;
    for (const policy::Job& job : context.config().jobs) {
        JobLine line{&job, ledger.last(job.name), last_good(ledger, job), {}, is_overdue(ledger, job, now)};
        if (job.schedule) {
            line.next = job.schedule->next(now);
            if (line.next) *line.next += policy::jitter_of(job.name, job.jitter_max);
        }
        out.push_back(std::move(line));
    }
    return out;
}

// Of the sources and copies that the configuration has followed.
std::vector<ledger::Reach> reaches_of(Context& context, const ledger::Ledger& ledger) {
    std::vector<ledger::Reach> out = ledger.reaches();
    std::erase_if(out, [&](const ledger::Reach& reach) {
        const auto is_source = [&](const SourceConfig& source) { return source.follow && source.name == reach.source; };
        const auto is_copy = [&](const RepositoryConfig& each) {
            return each.follow && follower_of_copy(each.name) == reach.source;
        };
        return std::ranges::none_of(context.config().sources, is_source) &&
               std::ranges::none_of(context.config().repositories, is_copy);
    });
    return out;
}

void print_json(Output& out, const std::vector<JobLine>& lines, const std::vector<ledger::Reach>& reaches,
                Nanoseconds now) {
    Json jobs = Json::array();
    for (const JobLine& line : lines) {
        const policy::Job& job = *line.job;
        jobs.push_back({{"job", job.name},
                        {"kind", policy::kind_of(job.task)},
                        {"schedule", job.schedule ? Json(job.schedule->text()) : Json()},
                        {"timezone", job.timezone},
                        {"next", line.next ? Json(rfc3339(*line.next)) : Json()},
                        {"last", line.last ? json_of(*line.last) : Json()},
                        {"last_done", line.last_done ? Json(rfc3339(line.last_done->ended)) : Json()},
                        {"overdue", line.overdue}});
    }
    Json followers = Json::array();
    for (const ledger::Reach& each : reaches) followers.push_back(json_of(each, now));
    out.record({{"schema", "holdfast.jobs/1"}, {"jobs", jobs}, {"followers", followers}});
}

int run_jobs(Context& context) {
    const auto ledger = open_ledger(context);
    const std::vector<JobLine> lines = lines_of(context, *ledger);
    const std::vector<ledger::Reach> reaches = reaches_of(context, *ledger);
    const Nanoseconds now = context.world.clock.now();
    if (context.out.is_json()) {
        print_json(context.out, lines, reaches, now);
        return 0;
    }
    using enum Table::Align;
    Table table({{"JOB", left},
                 {"KIND", left},
                 {"SCHEDULE", left},
                 {"NEXT", left},
                 {"LAST", left},
                 {"STATE", left},
                 {"TOOK", right},
                 {"LAST DONE", left}});
    for (const JobLine& line : lines) {
        const policy::Job& job = *line.job;
        const bool started = line.last && line.last->started > 0;
        table.add({job.name, std::string(policy::kind_of(job.task)),
                   job.schedule        ? job.schedule->text() + (job.timezone == "UTC" ? "" : " " + job.timezone)
                   : job.after.empty() ? "by hand"
                                       : "after " + join(job.after, ", "),
                   line.next ? local_time(*line.next) : "-", started ? local_time(line.last->started) : "-",
                   line.last ? std::string(name_of(line.last->state)) + (line.overdue ? ", overdue" : "") : "-",
                   started && line.last->ended > 0 ? human_duration(line.last->ended - line.last->started) : "",
                   line.last_done ? local_time(line.last_done->ended) : "never"});
    }
    if (table.empty())
        context.out.say("the configuration has no `jobs`");
    else
        table.print(context.out);
    for (const ledger::Reach& each : reaches) context.out.line(text_of(each, now));
    return 0;
}

}  // namespace

Command jobs_command() {
    Command out;
    out.name = "jobs";
    out.part = Part::run;
    out.ends_with_its_reader = true;
    out.summary = "list the jobs: when they are due, and how they last went";
    out.details =
        "OVERDUE says that the last success is older than the schedule allows: its longest gap and a quarter of it, or "
        "the job's `overdue_after`. Below the jobs stand the sources that are followed, with what would be lost if one "
        "were lost now.";
    out.examples = {{"holdfast jobs", "all of them"}, {"holdfast jobs --json", "for programs"}};
    out.run = [](Context& context) { return run_jobs(context); };
    return out;
}

}  // namespace holdfast::app
