#include "app/command.h"
#include "app/context.h"
#include "base/text.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

int run_unlock(Context& context, const engine::UnlockPlan& plan) {
    const auto repository = context.open_repository();
    const engine::UnlockReport report = engine::unlock(*repository, plan);
    Output& out = context.out;
    if (out.is_json()) {
        out.record({{"type", "summary"},
                    {"schema", "holdfast.unlock/1"},
                    {"signer", plan.signer},
                    {"fenced", report.fenced},
                    {"voided", report.voided},
                    {"dry_run", plan.dry_run}});
    } else if (!out.quiet) {
        const std::string_view verb = plan.dry_run ? "to end" : "ended";
        out.line(fmt::format("{} {}", counted(report.fenced, "open session", "open sessions"), verb));
        for (const std::string& each : report.voided)
            out.line(fmt::format("{} {} void", each, plan.dry_run ? "to declare" : "declared"));
    }
    return 0;
}

}  // namespace

Command unlock_command() {
    const auto plan = std::make_shared<engine::UnlockPlan>();
    Command out;
    out.name = "unlock";
    out.part = Part::keep;
    out.summary = "end the open sessions of a machine that is gone, and what is broken in its log";
    out.details =
        "A backup that was cut off keeps its session open, and `prune` leaves alone what it might need. "
        "Sessions of this host are "
        "ended by `prune` itself, others after a day without a sign of life. A backup that is in fact still "
        "running is ended too: it "
        "commits nothing, and does no harm.\n"
        "When something lies in a key's log that is no entry of it, others go on and `prune` waits. If the store lost "
        "or "
        "damaged it, bring the object back from a copy. If somebody put it there, `unlock` declares it void with all "
        "that "
        "follows it in that log, for ever.";
    out.examples = {{"holdfast unlock 3f2a91c0", "a signer as `prune` names it: the id of its key"}};
    out.options.word(plan->signer, "SIGNER", "id of the key that opened the sessions").required = true;
    out.options.flag(plan->dry_run, "-n,--dry-run", "say what would be ended, change nothing");
    out.run = [plan](Context& context) { return run_unlock(context, *plan); };
    return out;
}

}  // namespace holdfast::app
