#include <algorithm>
#include <iterator>

#include "app/check_plan.h"
#include "app/command.h"
#include "app/context.h"
#include "app/patience.h"
#include "app/progress_line.h"
#include "app/versions.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/check_versions.h"
#include "engine/maintain.h"

namespace holdfast::app {

namespace {

engine::VersionsReport check_versions(Context& context) {
    const auto versions = open_versions(context.choose_repository(context.globals.repository).place, context.world,
                                        {.total = patience_or(60 * one_second)});
    return versions ? engine::check_versions(*versions) : engine::VersionsReport{};
}

int run_check(Context& context, const std::optional<std::string>& read_data) {
    const engine::CheckPlan plan = check_plan(read_data);
    const auto repository = context.open_repository();
    engine::Progress progress;
    engine::CheckReport report;
    std::optional<std::string> not_tested;
    {
        const ProgressLine line(context.out, context.world.clock, progress, "checking");
        report = engine::check(*repository, plan, progress);
        engine::VersionsReport versions = check_versions(context);
        std::ranges::move(versions.replaced, std::back_inserter(report.errors));
        not_tested = std::move(versions.not_tested);
    }
    Output& out = context.out;
    if (out.is_json()) {
        Json errors = Json::array();
        for (const engine::Damage& each : report.errors)
            errors.push_back({{"object", each.object}, {"kind", each.kind}, {"effect", each.effect}});
        out.record({{"type", "summary"},
                    {"schema", "holdfast.check/1"},
                    {"snapshots", report.snapshots},
                    {"packs", report.packs},
                    {"chunks", report.chunks},
                    {"bytes", report.bytes},
                    {"errors", errors},
                    {"not_tested", not_tested ? Json::array({*not_tested}) : Json::array()}});
    } else {
        for (const engine::Damage& each : report.errors) {
            out.line(fmt::format("{}: {}", printable(each.object), each.kind));
            out.line("  " + printable(each.effect));
        }
        if (!out.quiet)
            out.line(fmt::format("checked {}, {}, {}, read {}: {}", counted(report.snapshots, "snapshot", "snapshots"),
                                 counted(report.packs, "pack", "packs"), counted(report.chunks, "chunk", "chunks"),
                                 human_bytes(report.bytes),
                                 report.errors.empty()
                                     ? "no damage"
                                     : counted(report.errors.size(), "object is damaged", "objects are damaged")));
        if (not_tested) out.say("NOT TESTED: " + *not_tested);
        if (!plan.read_data) out.say("What the packs hold was not read; `--read-data` reads it.");
    }
    if (!report.errors.empty())
        throw Error{Code::corrupt, "the repository is damaged: {}", counted(report.errors.size(), "object", "objects")}
            .hint(
                "Items that are not listed can be restored. Back up again: what is stored damaged is then "
                "stored anew. `holdfast repair --from REPO` takes it from a copy.");
    return 0;
}

}  // namespace

Command check_command() {
    const auto choice = std::make_shared<std::optional<std::string>>();
    Command out;
    out.name = "check";
    out.is_recorded = true;
    out.part = Part::keep;
    out.summary = "look for damage in the repository";
    out.details =
        "Checks that logs, index, snapshots and trees are whole and agree, and that every pack is there with "
        "its size; where the store keeps versions, also that nothing was written over. "
        "--read-data also reads the packs and compares every chunk with its id; with a share or a size it "
        "reads those first that "
        "were not read for longest. Damage is exit status 13.";
    out.examples = {{"holdfast check", "structure only: fast"},
                    {"holdfast check --read-data", "every byte"},
                    {"holdfast check --read-data=10%", "a tenth of the packs, another tenth next time"}};
    add_read_data_option(out.options, *choice);
    out.run = [choice](Context& context) { return run_check(context, *choice); };
    return out;
}

}  // namespace holdfast::app
