#include "app/command.h"
#include "app/context.h"
#include "app/forget_simulation.h"
#include "app/journals.h"
#include "app/progress_line.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"
#include "policy/keep_policies.h"

namespace holdfast::app {

namespace {

struct ForgetChoice {
    std::vector<std::string> ids;
    policy::Retention keep;
    std::vector<std::string> keep_given;  // "--keep-daily", whatever its number
    std::optional<std::string> source;
    bool explain = false;
    bool dry_run = false;
    bool allow_last = false;
    bool allow_unreadable = false;
    bool prune = false;
    bool clock_is_right = false;
    std::optional<Nanoseconds> simulate;
    std::optional<std::string> schedule;
    std::optional<Nanoseconds> journal_window;
};

policy::KeepPolicies configured_policies(Context& context) {
    std::map<std::string, policy::Retention> named;
    for (const RetentionConfig& each : context.config().retention) named.emplace(each.name, each.rules);
    return {context.config().jobs, std::move(named)};
}

void check_choice(const ForgetChoice& choice) {
    if (!choice.ids.empty() && !choice.keep_given.empty())
        throw Error{Code::usage, "ids of snapshots and --keep rules do not go together"};
    if (!choice.keep_given.empty() && choice.keep.empty())
        throw Error{Code::usage, "{} alone is no rule by which snapshots stay", join(choice.keep_given, ", ")}
            .unharmed("nothing was forgotten")
            .hint(
                "Add rules such as --keep-daily 30. The configuration's retention is applied when no --keep option is "
                "given; how many proven ones it keeps is its `keep_last_good`.");
    if (!choice.ids.empty() && choice.source)
        throw Error{Code::usage, "ids of snapshots and --source do not go together"};
    if (!choice.ids.empty() && choice.simulate)
        throw Error{Code::usage, "ids of snapshots and --simulate do not go together"};
    if (choice.schedule && !choice.simulate) throw Error{Code::usage, "--schedule is for --simulate only"};
}

engine::ForgetPlan plan_of(Context& context, const ForgetChoice& choice, const repo::Repository& repository) {
    engine::ForgetPlan plan;
    for (const std::string& id : choice.ids) plan.ids.push_back(snapshot_by_id(repository.snapshots(), id).id);
    if (!choice.keep.empty()) {
        plan.keep = choice.keep;
    } else if (choice.ids.empty()) {
        plan.policies = configured_policies(context);
        if (plan.policies->empty())
            throw Error{Code::usage, "`forget` needs ids of snapshots or rules such as --keep-daily 30"}.hint(
                "Jobs of the configuration with a `retention` are rules, too. `--explain` shows what rules would "
                "keep.");
    }
    plan.source = choice.source;
    plan.allow_last = choice.allow_last;
    plan.allow_unreadable = choice.allow_unreadable;
    plan.trust_clock = choice.clock_is_right;
    plan.windows = journal_windows(context, repository, choice.journal_window);
    plan.dry_run = true;
    return plan;
}

void print_json(Output& out, const engine::ForgetReport& report, const std::optional<std::uint64_t>& freed,
                bool dry_run) {
    const auto verdict = [](const engine::Verdict& each) {
        return Json{{"id", each.snapshot.id.hex()}, {"reasons", each.reasons}};
    };
    Json keep = Json::array();
    for (const engine::Verdict& each : report.keep) keep.push_back(verdict(each));
    Json remove = Json::array();
    Json removed = Json::array();
    for (const engine::Verdict& each : report.remove) {
        remove.push_back(each.snapshot.id.hex());
        removed.push_back(verdict(each));
    }
    Json record{{"type", "summary"},  {"schema", "holdfast.forget/1"},
                {"keep", keep},       {"remove", remove},
                {"removed", removed}, {"dry_run", dry_run}};
    if (freed) record["bytes"] = {{"freed", *freed}};
    out.record(record);
}

void print_table(Output& out, const engine::ForgetReport& report, bool explain) {
    Table table({{"ID"}, {"TIME"}, {"SOURCE"}, {"HOST"}, {explain ? "WHY" : ""}});
    const auto add = [&](const engine::Verdict& each, const std::string& prefix) {
        const repo::Snapshot& snapshot = each.snapshot;
        table.add({snapshot.id.short_hex(), local_time(snapshot.time), snapshot.source, snapshot.host,
                   explain ? prefix + join(each.reasons, ", ") : ""});
    };
    for (const engine::Verdict& each : report.keep)
        if (explain) add(each, "stays: ");
    for (const engine::Verdict& each : report.remove) add(each, "goes: ");
    if (!table.empty()) table.print(out);
}

engine::PruneReport pruned(Context& context, repo::Repository& repository, const engine::ForgetPlan& plan) {
    engine::Progress progress;
    const ProgressLine line(context.out, context.world.clock, progress, "pruning");
    engine::PrunePlan prune;
    prune.windows = plan.windows;
    prune.trust_clock = plan.trust_clock;
    return engine::prune(repository, prune, progress);
}

void print(Output& out, const ForgetChoice& choice, const engine::ForgetReport& report,
           const std::optional<engine::PruneReport>& collected) {
    const bool only_shown = choice.dry_run || choice.explain;
    std::optional<std::uint64_t> freed;
    if (collected) freed = collected->bytes_freed + collected->journal_bytes_freed;
    if (out.is_json()) {
        print_json(out, report, freed, only_shown);
        return;
    }
    if (out.quiet) return;
    print_table(out, report, choice.explain);
    out.line(fmt::format("{} {}, {} {}{}", only_shown ? "would remove" : "removed",
                         counted(report.remove.size(), "snapshot", "snapshots"), only_shown ? "keep" : "kept",
                         human_count(report.keep.size()), freed ? fmt::format(", freed {}", human_bytes(*freed)) : ""));
    if (!only_shown && !freed && !report.remove.empty())
        out.say("`holdfast prune` gives their space back; `forget --prune` does both.");
}

int run_simulation(Context& context, const ForgetChoice& choice, const repo::Repository& repository) {
    ForgetSimulation simulation{*choice.simulate, choice.source, std::nullopt, std::nullopt};
    if (!choice.keep.empty()) simulation.keep = choice.keep;
    if (choice.schedule) simulation.schedule = policy::Schedule::parse(*choice.schedule);
    return simulate_forget(context, repository, simulation);
}

int run_forget(Context& context, const ForgetChoice& choice) {
    check_choice(choice);
    const auto repository = context.open_repository();
    if (choice.simulate) return run_simulation(context, choice, *repository);
    engine::ForgetPlan plan = plan_of(context, choice, *repository);
    engine::ForgetReport report = engine::forget(*repository, plan);
    const bool only_shown = choice.dry_run || choice.explain;
    if (!only_shown && !report.remove.empty()) {
        if (!context.confirm(fmt::format("Forget {}?", counted(report.remove.size(), "snapshot", "snapshots"))))
            throw Error{Code::cancelled, "the answer was no"}.unharmed("nothing was forgotten");
        plan.dry_run = false;
        report = engine::forget(*repository, plan);
    }
    std::optional<engine::PruneReport> collected;
    if (choice.prune && !only_shown) collected = pruned(context, *repository, plan);
    print(context.out, choice, report, collected);
    if (collected) require_all_kept(*collected);
    return 0;
}

}  // namespace

Command forget_command() {
    const auto choice = std::make_shared<ForgetChoice>();
    Command out;
    out.name = "forget";
    out.is_recorded = true;
    out.part = Part::keep;
    out.summary = "remove snapshots, by id or by rules";
    out.details =
        "Rules count for each source and host by themselves; a snapshot that one rule keeps stays. Days, "
        "weeks (ISO) and so on are "
        "local, and of each the newest snapshot is kept. The last one that passed a proof always stays.\n"
        "Without ids and rules the retention of the configuration's jobs is applied, to each snapshot that of the job "
        "that made it. Space comes back with `prune`.\n"
        "When this machine's clock jumped, or snapshots were received later than now, nothing is forgotten by rules "
        "(exit status 14) until --clock-is-right is given.\n"
        "The last snapshot of a source is protected (exit status 14) unless --allow-last is given.";
    out.examples = {
        {"holdfast forget --keep-daily 30 --keep-weekly 12 --keep-monthly 12 --explain", "shows what stays and why"},
        {"holdfast forget --prune", "by the configuration; says what space that freed"},
        {"holdfast forget --simulate 2y", "what schedules and retention will keep, and how much space that takes"},
        {"holdfast forget --keep-last 10 --source files:/etc", "for one source"},
        {"holdfast forget 7c19 41ab", "these two"}};
    Options& options = out.options;
    options.words(choice->ids, "ID", "these snapshots").offers = Option::Offers::snapshots;
    const auto rule = [choice](Option& option) {
        option.take = [choice, take = option.take, name = option.long_name()](const std::string& text) {
            take(text);
            choice->keep_given.push_back(name);
        };
    };
    rule(options.number(choice->keep.last, "--keep-last", "N", "the newest N"));
    rule(options.number(choice->keep.hourly, "--keep-hourly", "N", "one for each of the last N hours that have any"));
    rule(options.number(choice->keep.daily, "--keep-daily", "N", "one for each of the last N days that have any"));
    rule(options.number(choice->keep.weekly, "--keep-weekly", "N", "one for each of the last N weeks that have any"));
    rule(
        options.number(choice->keep.monthly, "--keep-monthly", "N", "one for each of the last N months that have any"));
    rule(options.number(choice->keep.yearly, "--keep-yearly", "N", "one for each of the last N years that have any"));
    rule(options.duration(choice->keep.within, "--keep-within", "TIME",
                          "all that are at most so much older than the newest"));
    rule(options.list(choice->keep.tags, "--keep-tag", "KEY[=VALUE]", "all with this tag"));
    rule(options.number(choice->keep.last_good, "--keep-last-good", "N",
                        "the newest N that passed a proof at V3 or better (1)"));
    options.value(choice->source, "--source", "NAME", "only snapshots of this source").offers = Option::Offers::sources;
    options.flag(choice->explain, "--explain", "say why each stays or goes; remove nothing");
    options.flag(choice->dry_run, "-n,--dry-run", "say what would be removed, remove nothing");
    options.flag(choice->prune, "--prune", "give the space back at once, and say how much it was");
    options.duration(choice->simulate, "--simulate", "TIME",
                     "show what will be kept in the TIME to come; remove nothing");
    options.value(choice->schedule, "--schedule", "CRON",
                  "with --simulate: when backups are made, instead of the jobs' schedules");
    options.flag(choice->clock_is_right, "--clock-is-right", "go on although this machine's clock jumped");
    options.duration(choice->journal_window, "--journal-window", "TIME",
                     "how long the bases of journals are needed, instead of each source's `window:`");
    options.flag(choice->allow_last, "--allow-last", "also the last snapshot of a source");
    options.flag(choice->allow_unreadable, "--allow-unreadable",
                 "with ids: also those with a note that cannot be read, which may have been a hold");
    out.run = [choice](Context& context) { return run_forget(context, *choice); };
    return out;
}

}  // namespace holdfast::app
