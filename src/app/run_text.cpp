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

// Where nothing was stored yet, all is exposed.
bool exceeds_objective(const ledger::Reach& reach, Nanoseconds now) {
    return reach.objective > 0 && now - reach.reached > reach.objective;
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

Json json_of(const ledger::Reach& reach, Nanoseconds now) {
    const bool stored = reach.reached > 0;
    return {
        {"source", reach.source},
        {"state", reach.state},
        {"reached", stored ? Json(rfc3339(reach.reached)) : Json()},
        {"exposed_seconds", stored ? Json(static_cast<double>(now - reach.reached) / one_second) : Json()},
        {"objective_seconds", reach.objective > 0 ? Json(static_cast<double>(reach.objective) / one_second) : Json()},
        {"exceeded", exceeds_objective(reach, now)},
        {"restarts", reach.restarts},
        {"told", rfc3339(reach.told)},
        {"error", reach.error.empty() ? Json() : Json(reach.error)}};
}

std::string text_of(const ledger::Reach& reach, Nanoseconds now) {
    std::string out = fmt::format("{}: {}", printable(reach.source), reach.state);
    out += reach.reached > 0 ? fmt::format(", {} exposed", human_duration(now - reach.reached))
                             : std::string(", nothing is stored yet");
    if (reach.objective > 0)
        out += fmt::format(" of {} allowed{}", human_duration(reach.objective),
                           exceeds_objective(reach, now) ? ": TOO MUCH" : "");
    if (!reach.error.empty()) out += "; " + printable(reach.error);
    return out;
}

}  // namespace holdfast::app
