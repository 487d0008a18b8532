#include "app/run_text.h"

#include "base/text.h"

namespace holdfast::app {

namespace {

Json time_or_null(Nanoseconds time) { return time > 0 ? Json(rfc3339(time)) : Json(); }

Json json_of(const ledger::Outcome& outcome) {
    Json out{{"source", outcome.source},     {"kind", outcome.component},
             {"snapshot", outcome.snapshot}, {"result", outcome.result},
             {"error", outcome.error},       {"seconds", outcome.seconds},
             {"items", outcome.items},       {"bytes", {{"logical", outcome.bytes}, {"stored", outcome.stored}}}};
    if (outcome.restore_seconds > 0) out["restore_seconds"] = outcome.restore_seconds;
    if (outcome.proof_level >= 0) out["level"] = fmt::format("V{}", outcome.proof_level);
    return out;
}

}  // namespace

Json json_of(const ledger::Run& run) {
    Json outcomes = Json::array();
    for (const ledger::Outcome& each : run.outcomes) outcomes.push_back(json_of(each));
    return {{"run", run.id},
            {"job", run.job.empty() ? Json() : Json(run.job)},
            {"verb", run.verb},
            {"repository", run.repository},
            {"state", name_of(run.state)},
            {"due", rfc3339(run.due)},
            {"attempt", run.attempt},
            {"started", time_or_null(run.started)},
            {"ended", time_or_null(run.ended)},
            {"host", run.host},
            {"code", run.code},
            {"error", run.error},
            {"progress",
             {{"what", run.progress.what},
              {"items", run.progress.items},
              {"items_total", run.progress.items_total},
              {"bytes", run.progress.bytes},
              {"bytes_total", run.progress.bytes_total}}},
            {"outcomes", outcomes}};
}

std::string text_of(const ledger::Reach& reach, Nanoseconds now) {
    std::string out = fmt::format("{}: {}", printable(reach.source), reach.state);
    if (reach.reached > 0) out += fmt::format(", {} exposed", human_duration(now - reach.reached));
    if (reach.objective > 0)
        out += fmt::format(" of {} allowed{}", human_duration(reach.objective),
                           reach.reached > 0 && now - reach.reached > reach.objective ? ": TOO MUCH" : "");
    if (!reach.error.empty()) out += "; " + printable(reach.error);
    return out;
}

}  // namespace holdfast::app
