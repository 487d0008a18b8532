#include "app/command.h"
#include "app/context.h"
#include "app/journals.h"
#include "app/select.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

struct ForgetChoice {
    std::vector<std::string> ids;
    policy::Retention keep;
    std::optional<std::string> source;
    bool explain = false;
    bool dry_run = false;
    bool allow_last = false;
    std::optional<Nanoseconds> journal_window;
};

engine::ForgetPlan plan_of(const ForgetChoice& choice, const repo::Repository& repository) {
    if (choice.ids.empty() && choice.keep.empty())
        throw Error{Code::usage, "`forget` needs ids of snapshots or rules such as --keep-daily 30"}.hint(
            "`--explain` shows what rules would keep.");
    if (!choice.ids.empty() && !choice.keep.empty())
        throw Error{Code::usage, "ids of snapshots and --keep rules do not go together"};
    if (!choice.ids.empty() && choice.source)
        throw Error{Code::usage, "ids of snapshots and --source do not go together"};
    engine::ForgetPlan plan;
    for (const std::string& id : choice.ids) plan.ids.push_back(snapshot_by_id(repository.snapshots(), id).id);
    if (!choice.keep.empty()) plan.keep = choice.keep;
    plan.source = choice.source;
    plan.allow_last = choice.allow_last;
    plan.dry_run = true;
    return plan;
}

void print_json(Output& out, const engine::ForgetReport& report, bool dry_run) {
    Json keep = Json::array();
    for (const engine::Verdict& each : report.keep)
        keep.push_back({{"id", each.snapshot.id.hex()}, {"reasons", each.reasons}});
    Json remove = Json::array();
    for (const repo::Snapshot& each : report.remove) remove.push_back(each.id.hex());
    out.record({{"type", "summary"},
                {"schema", "holdfast.forget/1"},
                {"keep", keep},
                {"remove", remove},
                {"dry_run", dry_run}});
}

void print_table(Output& out, const engine::ForgetReport& report, bool also_kept) {
    Table table({{"ID"}, {"TIME"}, {"SOURCE"}, {"HOST"}, {also_kept ? "KEPT FOR" : ""}});
    const auto add = [&](const repo::Snapshot& snapshot, const std::string& reasons) {
        table.add({snapshot.id.short_hex(), local_time(snapshot.time), snapshot.source, snapshot.host, reasons});
    };
    for (const engine::Verdict& each : report.keep) {
        if (also_kept) add(each.snapshot, join(each.reasons, ", "));
    }
    for (const repo::Snapshot& each : report.remove) add(each, also_kept ? "- removed" : "");
    if (!table.empty()) table.print(out);
}

int run_forget(Context& context, const ForgetChoice& choice) {
    const auto repository = context.open_repository();
    engine::ForgetPlan plan = plan_of(choice, *repository);
    plan.windows = journal_windows(context, *repository, choice.journal_window);
    engine::ForgetReport report = engine::forget(*repository, plan);
    const bool only_shown = choice.dry_run || choice.explain;
    const std::string removed = counted(report.remove.size(), "snapshot", "snapshots");
    if (!only_shown && !report.remove.empty()) {
        if (!context.confirm(fmt::format("Forget {}?", removed)))
            throw Error{Code::cancelled, "the answer was no"}.unharmed("nothing was forgotten");
        plan.dry_run = false;
        report = engine::forget(*repository, plan);
    }
    Output& out = context.out;
    if (out.is_json()) {
        print_json(out, report, only_shown);
        return 0;
    }
    if (!out.quiet) print_table(out, report, choice.explain);
    if (!out.quiet)
        out.line(fmt::format("{} {}, {} {}", only_shown ? "would remove" : "removed", removed,
                             only_shown ? "keep" : "kept", human_count(report.keep.size())));
    if (!only_shown && !report.remove.empty()) out.say("`holdfast prune` gives their space back.");
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
        "local, and of each the newest snapshot is kept. Space comes back with `prune`.\n"
        "The last snapshot of a source is protected (exit status 14) unless --allow-last is given.";
    out.examples = {
        {"holdfast forget --keep-daily 30 --keep-weekly 12 --keep-monthly 12 --explain", "shows what stays and why"},
        {"holdfast forget --keep-last 10 --source files:/etc", "for one source"},
        {"holdfast forget 7c19 41ab", "these two"}};
    Options& options = out.options;
    options.words(choice->ids, "ID", "these snapshots").offers = Option::Offers::snapshots;
    options.number(choice->keep.last, "--keep-last", "N", "the newest N");
    options.number(choice->keep.hourly, "--keep-hourly", "N", "one for each of the last N hours that have any");
    options.number(choice->keep.daily, "--keep-daily", "N", "one for each of the last N days that have any");
    options.number(choice->keep.weekly, "--keep-weekly", "N", "one for each of the last N weeks that have any");
    options.number(choice->keep.monthly, "--keep-monthly", "N", "one for each of the last N months that have any");
    options.number(choice->keep.yearly, "--keep-yearly", "N", "one for each of the last N years that have any");
    options.duration(choice->keep.within, "--keep-within", "TIME",
                     "all that are at most so much older than the newest");
    options.list(choice->keep.tags, "--keep-tag", "KEY[=VALUE]", "all with this tag");
    options.number(choice->keep.last_good, "--keep-last-good", "N", "the newest N that passed a proof at V3 or better");
    options.value(choice->source, "--source", "NAME", "only snapshots of this source").offers = Option::Offers::sources;
    options.flag(choice->explain, "--explain", "say why each stays or goes; remove nothing");
    options.flag(choice->dry_run, "-n,--dry-run", "say what would be removed, remove nothing");
    options.duration(choice->journal_window, "--journal-window", "TIME",
                     "how long the bases of journals are needed, instead of each source's `window:`");
    options.flag(choice->allow_last, "--allow-last", "also the last snapshot of a source");
    out.run = [choice](Context& context) { return run_forget(context, *choice); };
    return out;
}

}  // namespace holdfast::app
