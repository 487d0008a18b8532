#include "app/command.h"
#include "app/context.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/replicate.h"
#include "repo/replica.h"

namespace holdfast::app {

namespace {

int run_promote(Context& context, bool dry_run) {
    const auto repository = context.open_repository();
    const bool was_replica = repository->is_replica();
    const Nanoseconds as_of = repository->replica() == nullptr ? 0 : repository->replica()->time;
    const std::size_t shown = repository->snapshots().size();
    if (was_replica && !dry_run &&
        !context.confirm(fmt::format("Make {} a repository of its own, and never copy to it again?",
                                     printable(repository->store().url()))))
        throw Error{Code::cancelled, "the answer was no"}.unharmed("it is a replica as before");
    const engine::PromoteReport report = engine::promote(*repository, dry_run);
    Output& out = context.out;
    if (out.is_json()) {
        out.record({{"type", "summary"},
                    {"schema", "holdfast.promote/1"},
                    {"was_replica", was_replica},
                    {"as_of", rfc3339(as_of)},
                    {"snapshots", repository->snapshots().size()},
                    {"came_after", ids_of(report.beyond)},
                    {"forgotten", ids_of(report.forgotten)},
                    {"contested", ids_of(report.contested)},
                    {"dry_run", dry_run}});
        return 0;
    }
    if (out.quiet) return 0;
    if (!was_replica) {
        out.line("it is a repository of its own already");
        return 0;
    }
    out.line(fmt::format("{} {} with {}, as of {}", dry_run ? "would promote" : "promoted", repository->store().url(),
                         counted(shown, "snapshot", "snapshots"), local_time(as_of)));
    for (const repo::SnapshotId& id : report.beyond)
        out.line(fmt::format("  {} came after that, and is whole", id.short_hex()));
    for (const repo::SnapshotId& id : report.forgotten)
        out.line(fmt::format("  {} came after that, is not whole, and was forgotten", id.short_hex()));
    for (const repo::SnapshotId& id : report.contested)
        out.line(fmt::format(
            "  {} came after that; whether it is whole this key cannot tell, as somebody lied about what is in it: run "
            "`holdfast check` with a reader's key",
            id.short_hex()));
    if (!dry_run) out.say("Point jobs and configuration here. Its old origin must not be written to any more.");
    return 0;
}

}  // namespace

Command promote_command() {
    const auto dry_run = std::make_shared<bool>(false);
    Command out;
    out.name = "promote";
    out.is_recorded = true;
    out.part = Part::keep;
    out.summary = "make a replica a repository of its own";
    out.details =
        "For the day when its origin is lost. Restores, checks and proofs need no promotion: they work on a replica at "
        "any time. "
        "Backups, `forget`, `prune` and keys do, for only `copy` writes to a replica. From then on `copy` refuses it, "
        "and "
        "there is no way back: make a new replica of it elsewhere.\n"
        "Where a copy was cut off half way, what came after the last whole state is looked at: a snapshot that is not "
        "whole here "
        "is forgotten, and said. Needs a key of the role maintainer or full.";
    out.examples = {{"holdfast -r offsite promote --dry-run", "says how old its state is"},
                    {"holdfast -r offsite promote", "then back up to it"}};
    out.options.flag(*dry_run, "-n,--dry-run", "say what it holds, change nothing");
    out.run = [dry_run](Context& context) { return run_promote(context, *dry_run); };
    return out;
}

}  // namespace holdfast::app
