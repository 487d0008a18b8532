#include "app/run_notes.h"

#include <algorithm>

#include "app/json.h"
#include "app/version.h"
#include "base/error.h"
#include "base/text.h"
#include "repo/notes.h"

namespace holdfast::app {

namespace {

constexpr std::size_t notes_at_once_max = 1000;  // what is left waits for the next run

Json json_of(const ledger::Outcome& outcome) {
    return {{"source", outcome.source},     {"kind", outcome.component},
            {"snapshot", outcome.snapshot}, {"result", outcome.result},
            {"error", outcome.error},       {"level", outcome.proof_level},
            {"seconds", outcome.seconds},   {"restore_seconds", outcome.restore_seconds},
            {"bytes", outcome.bytes},       {"stored", outcome.stored},
            {"items", outcome.items}};
}

ledger::Outcome outcome_of(const Json& json) {
    return {.source = json.value("source", ""),
            .component = json.value("kind", ""),
            .snapshot = json.value("snapshot", ""),
            .result = json.value("result", ""),
            .error = json.value("error", ""),
            .proof_level = json.value("level", -1),
            .seconds = json.value("seconds", 0.0),
            .restore_seconds = json.value("restore_seconds", 0.0),
            .bytes = json.value("bytes", std::uint64_t{0}),
            .stored = json.value("stored", std::uint64_t{0}),
            .items = json.value("items", std::uint64_t{0})};
}

repo::RunRecord record_of(const ledger::Run& run) {
    Json outcomes = Json::array();
    for (const ledger::Outcome& each : run.outcomes) outcomes.push_back(json_of(each));
    repo::RunRecord out;
    out.verb = run.verb;
    out.result = run.code.empty() ? "ok" : run.code;
    if (run.started > 0) out.seconds = static_cast<double>(run.ended - run.started) / one_second;
    out.tool = fmt::format("holdfast {}", version);
    out.host = run.host;
    out.run = text_of({{"run", run.id},
                       {"job", run.job},
                       {"state", name_of(run.state)},
                       {"due", run.due},
                       {"started", run.started},
                       {"ended", run.ended},
                       {"attempt", run.attempt},
                       {"code", run.code},
                       {"error", run.error},
                       {"outcomes", outcomes}});
    return out;
}

repo::SnapshotId newest(const repo::Repository& repository) {
    const auto& all = repository.snapshots();
    return all.empty() ? repo::no_snapshot : all.back().id;
}

}  // namespace

void leave_run_notes(Context& context, ledger::Ledger& ledger, const std::string& repository_name) {
    try {
        std::vector<ledger::Run> runs = ledger.without_note(notes_at_once_max);
        std::erase_if(runs, [&](const ledger::Run& run) {
            return context.config().repository_named(run.repository) != repository_name;
        });
        if (runs.empty()) return;
        Globals globals = context.globals;
        globals.no_input = true;
        Context own(context, context.world, globals);
        const auto repository = own.open_repository(own.choose_repository(repository_name), own.usual_places());
        if (repository->is_replica()) return;
        const repo::SnapshotId carrier = newest(*repository);
        for (const ledger::Run& run : runs) {
            repository->notes().append(carrier, repo::NoteKind::run, run.ended,
                                       repo::encode(record_of(run), repository->keys(), context.world.random));
            ledger.has_note(run);
        }
    } catch (const Error& error) {
        context.world.log.info(fmt::format("runs are not recorded in {} yet: {}", repository_name, error.message()));
    }
}

std::optional<ledger::Run> run_of(const repo::RunRecord& record) {
    if (record.run.empty()) return std::nullopt;
    try {
        const Json json = Json::parse(record.run);
        ledger::Run out;
        out.id = json.at("run");
        out.job = json.at("job");
        out.verb = record.verb;
        out.state = ledger::state_named(json.at("state").get<std::string>());
        out.due = out.start_at = json.at("due");
        out.started = json.at("started");
        out.ended = json.at("ended");
        out.attempt = json.at("attempt");
        out.host = record.host;
        out.code = json.at("code");
        out.error = json.at("error");
        for (const Json& each : json.at("outcomes")) out.outcomes.push_back(outcome_of(each));
        return has_ended(out.state) ? std::optional(out) : std::nullopt;
    } catch (const Json::exception&) {
        return std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace holdfast::app
