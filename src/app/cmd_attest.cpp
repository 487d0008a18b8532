#include "app/command.h"
#include "app/context.h"
#include "app/progress_line.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/attest.h"

namespace holdfast::app {

namespace {

int run_attest(Context& context) {
    const auto repository = context.open_repository();
    engine::Progress progress;
    const engine::AttestReport report = [&] {
        const ProgressLine line(context.out, context.world.clock, progress, "attesting");
        return engine::attest(*repository, progress);
    }();
    Output& out = context.out;
    if (out.is_json()) {
        Json refused = Json::array();
        for (const auto& each : report.refused)
            refused.push_back({{"object", each.fragment}, {"key", each.author}, {"why", each.why}});
        out.record({{"type", "summary"},
                    {"schema", "holdfast.attest/1"},
                    {"attested", report.attested},
                    {"already", report.already},
                    {"chunks", report.chunks},
                    {"refused", refused}});
    } else {
        if (!out.quiet)
            out.line(fmt::format("{} attested, {} opened; {} needed nothing",
                                 counted(report.attested, "index fragment", "index fragments"),
                                 counted(report.chunks, "chunk", "chunks"), human_count(report.already)));
        for (const auto& each : report.refused)
            out.line(fmt::format("refused: {} by key {}: {}", each.fragment, each.author, each.why));
    }
    if (report.refused.empty()) return 0;
    out.error(
        Error{Code::corrupt, "{} not what their writers say",
              counted(report.refused.size(), "index fragment is", "index fragments are")}
            .unharmed("no other writer relies on them")
            .hint("Find out what happened to the machine with that key; `holdfast key remove` takes the key away."));
    return info_of(Code::corrupt).exit_status;
}

}  // namespace

Command attest_command() {
    Command out;
    out.name = "attest";
    out.part = Part::housekeeping;
    out.summary = "vouch for what writers stored, so that others need not store it again";
    out.details =
        "A writer relies on chunks of its own and of full keys only: a stolen machine cannot make others believe that "
        "it "
        "stored what it did not. A reader opens what the others stored, compares it with its ids and signs that; then "
        "all "
        "writers share it.";
    out.examples = {{"holdfast attest", "with a reader's or a full key, every night"}};
    out.run = run_attest;
    return out;
}

}  // namespace holdfast::app
