#include "app/forget_simulation.h"

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"
#include "policy/keep_policies.h"
#include "policy/simulate.h"

namespace holdfast::app {

namespace {

// A source and what makes and keeps its snapshots.
struct Course {
    std::string job;  // empty: the command line says it
    std::string source;
    policy::Schedule schedule;
    policy::Retention keep;
};

std::vector<Course> courses_of(Context& context, const repo::Repository& repository,
                               const ForgetSimulation& simulation) {
    std::vector<Course> out;
    const auto is_asked = [&](const std::string& source) {
        return !simulation.source || policy::is_source_of(source, *simulation.source);
    };
    if (simulation.schedule && simulation.keep) {
        std::set<std::string> sources;
        for (const repo::Snapshot& each : repository.snapshots()) sources.insert(each.source);
        for (const std::string& source : sources)
            if (is_asked(source)) out.push_back({"", source, *simulation.schedule, *simulation.keep});
    } else {
        for (const policy::Job& job : context.config().jobs) {
            if (!std::holds_alternative<policy::BackupTask>(job.task)) continue;
            const policy::Schedule* const schedule = simulation.schedule ? &*simulation.schedule
                                                     : job.schedule      ? &*job.schedule
                                                                         : nullptr;
            const policy::Retention* const keep = simulation.keep ? &*simulation.keep
                                                  : job.retention ? &job.retention->rules
                                                                  : nullptr;
            if (schedule == nullptr || keep == nullptr) continue;
            for (const std::string& source : job.sources)
                if (is_asked(source)) out.push_back({job.name, source, *schedule, *keep});
        }
    }
    if (!out.empty()) return out;
    throw Error{Code::usage, "nothing says when backups are made and what is kept of them"}.hint(
        "Jobs with `schedule` and `retention` do, or `--schedule \"0 2 * * *\" --keep-daily 30` over what is there.");
}

std::vector<policy::SimulationMonth> future_of(const Course& course, const repo::Repository& repository,
                                               Nanoseconds from, Nanoseconds to) {
    std::vector<policy::Candidate> present;
    std::vector<std::uint64_t> stored;
    for (const repo::Snapshot& each : repository.snapshots()) {
        if (!policy::is_source_of(each.source, course.source)) continue;
        stored.push_back(each.bytes.stored);
        const auto made_by = each.tags.find(std::string(policy::job_tag));
        if (!course.job.empty() && made_by != each.tags.end() && made_by->second != course.job) continue;
        present.push_back(engine::candidate_of(each));
    }
    const policy::SizeGuess sizes = policy::guess_sizes(stored);
    return policy::simulate(
        {course.schedule, course.keep, from, to, std::move(present), sizes.bytes_base, sizes.bytes_each});
}

}  // namespace

int simulate_forget(Context& context, const repo::Repository& repository, const ForgetSimulation& simulation) {
    const Nanoseconds from = context.world.clock.now();
    Nanoseconds to = 0;
    if (__builtin_add_overflow(from, simulation.length, &to))
        throw Error{Code::usage, "--simulate reaches beyond the end of time"};
    Output& out = context.out;
    Table table({{"SOURCE"},
                 {"JOB"},
                 {"AT THE END OF"},
                 {"SNAPSHOTS", Table::Align::right},
                 {"OLDEST"},
                 {"ABOUT", Table::Align::right}});
    Json list = Json::array();
    for (const Course& course : courses_of(context, repository, simulation)) {
        for (const policy::SimulationMonth& month : future_of(course, repository, from, to)) {
            table.add({course.source, course.job, local_time(month.end).substr(0, 10), human_count(month.snapshots),
                       month.oldest == 0 ? "-" : local_time(month.oldest).substr(0, 10), human_bytes(month.bytes)});
            list.push_back({{"source", course.source},
                            {"job", course.job},
                            {"end", rfc3339_seconds(month.end)},
                            {"snapshots", month.snapshots},
                            {"oldest", month.oldest == 0 ? Json() : Json(rfc3339_seconds(month.oldest))},
                            {"bytes", month.bytes}});
        }
    }
    if (out.is_json()) {
        out.record({{"type", "simulation"}, {"schema", "holdfast.forget/1"}, {"months", list}});
        return 0;
    }
    table.print(out);
    out.say("Sizes are guessed from the snapshots that are there. Nothing was removed.");
    return 0;
}

}  // namespace holdfast::app
