#include "app/replica_copy.h"

#include "app/progress_line.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/replicate.h"

namespace holdfast::app {

namespace {

double seconds_of(Nanoseconds time) { return static_cast<double>(time) / one_second; }

Json json_of(const engine::ReplicateReport& report) {
    Json findings = Json::array(), objects = Json::object();
    for (const engine::Damage& each : report.findings)
        findings.push_back({{"object", each.object}, {"kind", each.kind}, {"reason", each.effect}});
    for (const auto& [kind, moved] : report.moved) objects[kind] = {{"objects", moved.objects}, {"bytes", moved.bytes}};
    const std::uint64_t bytes = report.sum().bytes;
    return {{"how", "verbatim"},
            {"snapshots", ids_of(report.snapshots)},
            {"bytes", {{"read", bytes}, {"added", bytes}, {"stored", bytes}}},
            {"objects", objects},
            {"packs_there", report.there},
            {"findings", findings},
            {"not_whole", report.sees_what_is_not_whole ? ids_of(report.not_whole) : Json()},
            {"lag_seconds", seconds_of(report.lag)}};
}

std::string lag_text(Nanoseconds lag) {
    return lag == 0 ? "nothing was missing" : "the oldest that was missing was " + human_duration(lag) + " old";
}

void print_findings(Output& out, const engine::ReplicateReport& report) {
    for (const engine::Damage& each : report.findings)
        out.warn(fmt::format("{} is {}: {}", each.object, each.kind, each.effect));
    for (const repo::SnapshotId& id : report.not_whole)
        out.warn(fmt::format("snapshot {} is not whole in the replica", id.short_hex()));
    if (!report.sees_what_is_not_whole)
        out.warn("snapshots that need them are not whole in the replica; this key cannot tell which");
}

void print_summary(Output& out, const engine::ReplicateReport& report, bool dry_run) {
    if (out.is_json()) {
        Json line{{"type", "summary"}, {"schema", "holdfast.copy/1"}};
        line.update(json_of(report));
        line["dry_run"] = dry_run;
        return out.record(line);
    }
    print_findings(out, report);
    if (out.quiet) return;
    const engine::Moved sum = report.sum();
    out.line(fmt::format("{} {}: {}, {}; {}", dry_run ? "would copy" : "copied",
                         counted(report.snapshots.size(), "snapshot", "snapshots"),
                         counted(sum.objects, "object", "objects"), human_bytes(sum.bytes), lag_text(report.lag)));
}

void print_round(Output& out, const engine::ReplicateReport& report) {
    if (out.is_json()) {
        Json line{{"type", "round"}};
        line.update(json_of(report));
        out.record(line);
        return out.finish();  // whoever supervises it reads how far it is
    }
    print_findings(out, report);
    if (!out.quiet)
        out.say(fmt::format("copied {}, {}; {}", counted(report.snapshots.size(), "snapshot", "snapshots"),
                            human_bytes(report.sum().bytes), lag_text(report.lag)));
}

engine::FollowOriginEvents events_for(Output& out) {
    engine::FollowOriginEvents events;
    events.round = [&out](const engine::ReplicateReport& report) { print_round(out, report); };
    events.whole = [&out](Nanoseconds began) { tell_whole(out, began); };
    events.trouble = [&out](const Error& error, Nanoseconds lag, Nanoseconds pause) {
        tell_trouble(out, error, lag, pause);
    };
    return events;
}

}  // namespace

void tell_whole(Output& out, Nanoseconds began) {
    if (!out.is_json()) return;
    out.record({{"type", "idle"}, {"reached", {{"time", rfc3339(began)}}}});
    out.finish();
}

void tell_trouble(Output& out, const Error& error, Nanoseconds lag, Nanoseconds pause) {
    if (out.is_json()) {
        out.record({{"type", "trouble"},
                    {"error", info_of(error.code()).slug},
                    {"message", error.message()},
                    {"lag_seconds", seconds_of(lag)}});
        return out.finish();
    }
    out.warn(fmt::format("{}; {}; trying again in {}", error.message(),
                         lag == 0 ? "nothing is known to be missing" : human_duration(lag) + " behind",
                         human_duration(pause)));
}

int run_replica_copy(Context& context, repo::Repository& from, Store& to, const ReplicaCopy& choice) {
    engine::Progress progress;
    const engine::ReplicateReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "copying");
        if (!choice.follow)
            return engine::Replication(from, to, progress).run({.dry_run = choice.dry_run, .compare = choice.compare});
        engine::FollowOriginPlan plan;
        if (choice.interval) plan.rounds.every = *choice.interval;
        return engine::follow_origin(from, to, plan, events_for(context.out), progress);
    }();
    print_summary(context.out, report, choice.dry_run);
    return report.findings.empty() ? 0 : info_of(Code::partial).exit_status;
}

}  // namespace holdfast::app
