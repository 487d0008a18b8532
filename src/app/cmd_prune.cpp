#include <charconv>

#include "app/command.h"
#include "app/context.h"
#include "app/journals.h"
#include "app/progress_line.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

struct PruneChoice {
    bool dry_run = false;
    bool clock_is_right = false;
    std::string unused_max;
    std::optional<Nanoseconds> journal_window;
};

double share_of(const std::string& text) {
    double percent = 0;
    const char* const end = text.data() + text.size() - (text.ends_with('%') ? 1 : 0);
    const auto [at, failure] = std::from_chars(text.data(), end, percent);
    if (failure != std::errc{} || at != end || percent < 0 || percent > 100)
        throw Error{Code::usage, "--max-unused needs a share such as `5%`, not `{}`", text};
    return percent / 100;
}

void print_json(Output& out, const engine::PruneReport& report, bool dry_run) {
    Json left = Json::array();
    for (const auto& [source, why] : report.journals_left) left.push_back({{"source", source}, {"why", why}});
    out.record({{"type", "summary"},
                {"schema", "holdfast.prune/1"},
                {"packs",
                 {{"deleted", report.packs_deleted},
                  {"kept", report.packs_kept},
                  {"rewritten", report.packs_rewritten},
                  {"pending", report.packs_pending}}},
                {"bytes", {{"freed", report.bytes_freed + report.journal_bytes_freed}}},
                {"journals",
                 {{"freed", report.journal_bytes_freed}, {"segments_packed", report.segments_packed}, {"left", left}}},
                {"waiting_for", report.waiting_for},
                {"dry_run", dry_run}});
}

void print(Output& out, const engine::PruneReport& report, bool dry_run) {
    out.line(fmt::format("{} {}", dry_run ? "would free" : "freed",
                         human_bytes(report.bytes_freed + report.journal_bytes_freed)));
    out.line(fmt::format("  packs  {} deleted, {} rewritten, {} kept, {} pending", human_count(report.packs_deleted),
                         human_count(report.packs_rewritten), human_count(report.packs_kept),
                         human_count(report.packs_pending)));
    if (report.journal_bytes_freed + report.segments_packed > 0)
        out.line(fmt::format("  journals  {} expired, {} put together", human_bytes(report.journal_bytes_freed),
                             counted(report.segments_packed, "segment", "segments")));
    for (const std::string& each : report.waiting_for) out.say("waiting for " + each);
    if (!report.waiting_for.empty())
        out.say(
            "What is pending is deleted by a later `prune`. A session of a machine that is gone is ended by "
            "`holdfast unlock SIGNER`.");
}

int run_prune(Context& context, const PruneChoice& choice) {
    engine::PrunePlan plan;
    plan.dry_run = choice.dry_run;
    plan.trust_clock = choice.clock_is_right;
    if (!choice.unused_max.empty()) plan.unused_max = share_of(choice.unused_max);
    const auto repository = context.open_repository();
    plan.windows = journal_windows(context, *repository, choice.journal_window);
    engine::Progress progress;
    const engine::PruneReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "pruning");
        return engine::prune(*repository, plan, progress);
    }();
    if (context.out.is_json())
        print_json(context.out, report, choice.dry_run);
    else if (!context.out.quiet)
        print(context.out, report, choice.dry_run);
    require_all_kept(report);
    return 0;
}

}  // namespace

Command prune_command() {
    const auto choice = std::make_shared<PruneChoice>();
    Command out;
    out.name = "prune";
    out.is_recorded = true;
    out.part = Part::keep;
    out.summary = "give back the space that no snapshot needs";
    out.details =
        "Never waits and never blocks a backup: packs that a backup under way might still need are condemned "
        "now and deleted by a "
        "later call, which is no error. Packs that are mostly unused are written anew without what nobody "
        "needs.\n"
        "When this machine's clock jumped, journals that have a window are left as they are (exit status 3) until "
        "--clock-is-right is given.";
    out.examples = {{"holdfast prune", "after `forget`"}, {"holdfast prune --dry-run", "says how much could be freed"}};
    out.options.flag(choice->dry_run, "-n,--dry-run", "say what would be freed, change nothing");
    out.options.value(choice->unused_max, "--max-unused", "SHARE",
                      "leave so much of the stored bytes unused rather than rewrite (5%)");
    out.options.duration(choice->journal_window, "--journal-window", "TIME",
                         "how long every instant stays reachable, instead of each source's `window:`");
    out.options.flag(choice->clock_is_right, "--clock-is-right",
                     "judge windows of journals although this machine's clock jumped");
    out.run = [choice](Context& context) { return run_prune(context, *choice); };
    return out;
}

}  // namespace holdfast::app
