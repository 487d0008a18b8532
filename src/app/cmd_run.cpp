#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>

#include "app/command.h"
#include "app/context.h"
#include "app/dated_dumps.h"
#include "app/exit_order.h"
#include "app/holder.h"
#include "app/job_steps.h"
#include "app/parse.h"
#include "app/recorder.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stopped.h"
#include "base/text.h"
#include "engine/clock_guard.h"
#include "engine/hooks.h"
#include "store/decorator.h"

namespace holdfast::app {

namespace {

struct RunChoice {
    std::string job;
    std::string run_id;  // of a run that the daemon has claimed
};

const policy::Job& job_named(const Config& config, const std::string& name) {
    if (const policy::Job* const job = config.job(name)) return *job;
    std::vector<std::string> names;
    for (const policy::Job& each : config.jobs) names.push_back(each.name);
    Error error{Code::usage, "there is no job `{}`", name};
    if (const auto near = nearest(name, names)) throw std::move(error).hint("Did you mean `" + *near + "`?");
    throw std::move(error).hint(names.empty() ? "The configuration has no `jobs`."
                                              : "The configuration has: " + join(names, ", ") + ".");
}

// What one of its commands came to.
struct StepEnd {
    int exit = 0;
    std::string code;
    std::string error;
};

// The code that an exit status stands for first.
std::string slug_of_exit(int exit) {
    for (const CodeInfo& each : code_table())
        if (each.exit_status == exit && each.code != Code::internal) return std::string(each.slug);
    return std::string(info_of(Code::failed).slug);
}

// What a command that does not throw has told of its failure.
StepEnd end_of(const JobStep& step, int exit, const Recorder& recorder, std::size_t outcomes_before) {
    StepEnd out{exit, slug_of_exit(exit), fmt::format("`{}` ended with exit status {}", text_of(step), exit)};
    const std::vector<ledger::Outcome>& outcomes = recorder.run().outcomes;
    for (std::size_t i = outcomes_before; i < outcomes.size(); ++i) {
        if (outcomes[i].error.empty()) continue;
        out.error = fmt::format("{}: {}", outcomes[i].source, outcomes[i].error);
        break;
    }
    return out;
}

// Of two rates, where 0 is none.
std::uint64_t tighter(std::uint64_t one, std::uint64_t other) {
    return one == 0 || other == 0 ? std::max(one, other) : std::min(one, other);
}

StepEnd run_step(Context& context, const JobStep& step) {
    context.out.say("+ " + text_of(step));
    const std::size_t outcomes_before = context.recorder->run().outcomes.size();
    const std::vector<Command> commands = all_commands();
    Globals globals = context.globals;
    Globals own_globals;
    const Call call = parse(commands, global_options(own_globals), step.words);
    globals.limit.up = tighter(globals.limit.up, own_globals.limit.up);
    globals.repository = step.repository;
    globals.no_input = true;
    Context own(context, context.world, globals);
    own.recorder = context.recorder;
    try {
        const int exit = call.command->run(own);
        return exit == 0 ? StepEnd{} : end_of(step, exit, *context.recorder, outcomes_before);
    } catch (...) {
        const Error error = as_error(std::current_exception());
        context.out.error(error);
        return {error.exit_status(), std::string(info_of(error.code()).slug),
                error.message() + (error.hint().empty() ? "" : " (" + error.hint() + ")")};
    }
}

void add(StepEnd& all, const StepEnd& each) {
    const int worse = worse_exit(all.exit, each.exit);
    if (worse != all.exit || all.code.empty()) {
        all.code = each.code;
        all.error = each.error;
    }
    all.exit = worse;
}

bool made_snapshots(const Recorder& recorder) {
    return std::ranges::any_of(recorder.run().outcomes,
                               [](const ledger::Outcome& each) { return !each.snapshot.empty(); });
}

// Without its required copies the job is done in part only. Those that fail are tried again as the job would be: for their
// sake nothing is backed up again.
StepEnd run_copies(Context& context, const policy::Job& job) {
    std::vector<JobStep> due = copies_of(job, context.config());
    for (int attempt = 1;; ++attempt) {
        StepEnd all;
        std::vector<JobStep> missing;
        for (const JobStep& step : due) {
            StepEnd copied = run_step(context, step);
            context.world.stop.check();
            if (copied.exit == 0) continue;
            copied.exit = info_of(Code::partial).exit_status;
            add(all, copied);
            missing.push_back(step);
        }
        if (missing.empty() || attempt > static_cast<int>(job.retries.count)) return all;
        const Nanoseconds pause = policy::pause_after(job.retries, attempt);
        context.out.say(fmt::format("{} tried again in {}",
                                    counted(missing.size(), "copy is missing and is", "copies are missing and are"),
                                    human_duration(pause)));
        wait(context.world, pause);
        due = std::move(missing);
    }
}

// The folder may be one of today's date.
void make_folder_of(const JobStep& step) {
    const auto to = std::ranges::find(step.words, "--to");
    const std::filesystem::path file = *std::next(to);
    std::error_code failure;
    std::filesystem::create_directories(file.parent_path(), failure);  // the export says what is wrong
}

// By the job's own `keep`, only once today's is there, and by no clock that jumped.
StepEnd remove_old_exports(Context& context, const policy::Job& job, const std::string& repository_name) {
    const auto* const task = std::get_if<policy::ExportTask>(&job.task);
    if (task == nullptr || !task->keep) return {};
    try {
        engine::check_clock(
            *context.open_repository(context.choose_repository(repository_name), context.usual_places()), false);
    } catch (const Error& error) {
        if (is_stop(error.code())) throw;
        context.out.error(error);
        return {info_of(Code::partial).exit_status, std::string(info_of(error.code()).slug),
                "old dumps were left where they are: " + error.message()};
    }
    for (const std::string& path : remove_old_dumps(*task, context.world.clock.now(), context.world.log))
        context.out.say("removed the old dump " + path);
    return {};
}

// What a job of proofs may take: its time, and bytes that are restored. Who was proven longest ago comes first, so that all
// come at some time.
class ProofBudget {
public:
    ProofBudget(Context& context, const policy::Job& job, const Recorder& recorder)
        : context_(context),
          task_(std::get_if<policy::ProveTask>(&job.task)),
          recorder_(recorder),
          began_(context.world.clock.steady()) {}

    void order(std::vector<JobStep>& steps) const {
        if (!is_limited()) return;
        std::map<std::string, Nanoseconds> proven;
        for (const auto& [run, outcome] : recorder_.ledger().newest_proofs()) proven[outcome.source] = run.ended;
        std::ranges::stable_sort(steps, {}, [&](const JobStep& step) { return proven[source_of(step)]; });
    }
    // Nothing: what is left is not enough for this one. However little time there is, one is begun.
    std::optional<JobStep> allowed(JobStep step) {
        if (!is_limited()) return step;
        if (std::exchange(has_begun_, true) && task_->time_max &&
            context_.world.clock.steady() - began_ >= *task_->time_max)
            return std::nullopt;
        if (!task_->bytes_max) return step;
        std::uint64_t used = 0;
        for (const ledger::Outcome& each : recorder_.run().outcomes) used += each.bytes;
        if (used >= *task_->bytes_max) return std::nullopt;
        step.words.insert(step.words.end(), {"--max-bytes", std::to_string(*task_->bytes_max - used)});
        return step;
    }
    StepEnd used_up(const JobStep& step) const {
        context_.out.warn(fmt::format("not run, as the job's budget is used up: {}", text_of(step)));
        return {info_of(Code::partial).exit_status, std::string(info_of(Code::partial).slug),
                fmt::format("the budget was used up before `{}`", text_of(step))};
    }

private:
    static std::string source_of(const JobStep& step) {
        const auto at = std::ranges::find(step.words, "--source");
        return at == step.words.end() ? "" : *std::next(at);
    }
    bool is_limited() const { return task_ != nullptr && (task_->bytes_max || task_->time_max); }

    Context& context_;
    const policy::ProveTask* task_;
    const Recorder& recorder_;
    const Nanoseconds began_;
    bool has_begun_ = false;
};

// The job's commands one after the other; a source that fails does not keep the others from their copies.
StepEnd run_steps(Context& context, const policy::Job& job, const Recorder& recorder) {
    StepEnd all;
    const bool exports = std::holds_alternative<policy::ExportTask>(job.task);
    ProofBudget budget(context, job, recorder);
    std::vector<JobStep> steps = steps_of(job, context.config(), context.world.clock.now());
    budget.order(steps);
    for (const JobStep& step : steps) {
        if (exports) make_folder_of(step);
        const auto allowed = budget.allowed(step);
        add(all, allowed ? run_step(context, *allowed) : budget.used_up(step));
        context.world.stop.check();
    }
    if (all.exit == 0) add(all, remove_old_exports(context, job, steps.front().repository));
    return all;
}

bool is_done(const StepEnd& end) { return end.exit == 0 || end.exit == info_of(Code::partial).exit_status; }

void run_failure_hooks(Context& context, const policy::Job& job, engine::HookScene scene, const StepEnd& end) {
    scene.result = end.code;
    try {
        engine::run_hooks(context.world, "for failures of the job", job.hooks.on_failure, scene);
    } catch (const Error& error) {
        context.out.error(error);
    }
}

// What `before` stopped is started again before the copies, which may take long and are tried again.
StepEnd run_with_hooks(Context& context, const policy::Job& job, const Recorder& recorder) {
    engine::HookScene scene{join(job.sources, ","), job.repository, "", "pending"};
    StepEnd all;
    const auto attempt = [&](const std::function<void()>& work) {
        try {
            work();
            return true;
        } catch (...) {
            const Error error = as_error(std::current_exception());
            context.out.error(error);
            add(all, {error.exit_status(), std::string(info_of(error.code()).slug), error.message()});
            return false;
        }
    };
    const bool has_run = attempt([&] {
        engine::run_hooks(context.world, "before the job", job.hooks.before, scene);
        add(all, run_steps(context, job, recorder));
    });
    if (is_done(all)) {
        scene.result = all.exit == 0 ? "ok" : info_of(Code::partial).slug;
        attempt([&] { engine::run_hooks(context.world, "after the job", job.hooks.after, scene); });
    }
    const bool has_failed = !is_done(all);
    if (has_failed) run_failure_hooks(context, job, scene, all);
    if (has_run && made_snapshots(recorder) && !context.world.stop.requested())
        attempt([&] { add(all, run_copies(context, job)); });
    if (all.exit != 0 && !has_failed) run_failure_hooks(context, job, scene, all);
    return all;
}

ledger::Run claimed_run(Context& context, ledger::Ledger& ledger, const policy::Job& job, const RunChoice& choice) {
    const std::string holder = holder_of_this_process();
    if (!choice.run_id.empty()) {
        auto run = ledger.find(choice.run_id);
        if (!run || run->state != ledger::RunState::running)
            throw Error{Code::usage, "there is no claimed run {}", choice.run_id};
        ledger.hand_over(run->id, holder, Recorder::lease);
        return *run;
    }
    ledger.end_abandoned(is_holder_alive);
    ledger::Run run;
    run.id = ledger::new_run_id(context.world.random);
    run.job = job.name;
    run.verb = policy::kind_of(job.task);
    run.repository = job.repository;
    run.host = current_host_name();
    run.due = run.start_at = context.world.clock.now();
    const bool alone = job.concurrency != policy::Concurrency::allow;
    if (ledger.claim(run, holder, Recorder::lease, alone) != ledger::Claim::claimed)
        throw Error{Code::busy, "job {} is running already", job.name}
            .unharmed("that run goes on")
            .hint("`holdfast runs --job " + job.name + "` shows it.");
    return run;
}

int run_job(Context& context, const RunChoice& choice) {
    const policy::Job& job = job_named(context.config(), choice.job);
    std::shared_ptr<ledger::Ledger> ledger;
    ledger::Run run;
    const auto claim = [&] {
        ledger = open_ledger(context);
        run = claimed_run(context, *ledger, job, choice);
    };
    // Who types it is told at once; what a daemon has begun goes on.
    if (choice.run_id.empty())
        claim();
    else
        ask_patiently(context.world, claim);
    Recorder recorder(context, std::move(ledger), std::move(run));
    const StepEnd end = run_with_hooks(context, job, recorder);
    const ledger::RunState state = state_of_exit(end.exit);
    recorder.end(state, end.code, end.error);
    if (context.out.is_json())
        context.out.record({{"type", "summary"},
                            {"schema", "holdfast.run/1"},
                            {"run", recorder.run().id},
                            {"job", job.name},
                            {"state", name_of(state)}});
    else
        context.out.say(fmt::format("job {}: {}", job.name, name_of(state)));
    return end.exit;
}

}  // namespace

Command run_command() {
    const auto choice = std::make_shared<RunChoice>();
    Command out;
    out.name = "run";
    out.part = Part::run;
    out.summary = "run a job of the configuration now";
    out.details =
        "Does what `serve` does when the job is due: its hooks, its commands, which are printed as they could be "
        "typed, "
        "and its copies. The run is recorded in the ledger; `runs` shows it.\n"
        "Exit status: 0 done; 3 done in part, as when a required copy is missing; 11 when it is running already; else "
        "that of what failed.";
    out.examples = {{"holdfast run nightly", "as by hand before a deployment"},
                    {"holdfast runs --job nightly", "how it went"}};
    out.options.word(choice->job, "JOB", "name of the job").required = true;
    out.options.value(choice->run_id, "--run-id", "ID", "the run that `serve` has claimed for this process");
    out.run = [choice](Context& context) { return run_job(context, *choice); };
    return out;
}

}  // namespace holdfast::app
