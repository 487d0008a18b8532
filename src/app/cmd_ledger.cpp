#include <algorithm>
#include <array>

#include "app/command.h"
#include "app/context.h"
#include "app/recorder.h"
#include "base/error.h"
#include "base/text.h"
#include "policy/job.h"
#include "repo/notes.h"
#include "repo/proof_note.h"

namespace holdfast::app {

namespace {

constexpr std::size_t id_digits = 16;

ledger::Run run_of(const repo::Snapshot& snapshot, const std::string& repository) {
    ledger::Run out;
    out.id = snapshot.id.hex().substr(0, id_digits);
    const auto job = snapshot.tags.find(std::string(policy::job_tag));
    if (job != snapshot.tags.end()) out.job = job->second;
    out.verb = "backup";
    out.repository = repository;
    out.state = snapshot.partial ? ledger::RunState::partial : ledger::RunState::done;
    out.due = out.start_at = out.started = snapshot.time;
    out.ended = std::max(snapshot.received, snapshot.time);
    out.host = snapshot.host;
    out.outcomes.push_back({.source = snapshot.source,
                            .component = snapshot.kind,
                            .snapshot = snapshot.id.hex(),
                            .result = snapshot.partial ? "partial" : "ok",
                            .bytes = snapshot.bytes.logical,
                            .stored = snapshot.bytes.stored,
                            .items = snapshot.items});
    return out;
}

// Of a proof or restore that a signed note tells of; nothing of other notes.
std::optional<ledger::Run> run_of(const repo::SnapshotNote& note, std::size_t number, const repo::Snapshot& snapshot,
                                  const repo::Repository& repository, const std::string& name) {
    ledger::Run out;
    ledger::Outcome outcome;
    double seconds = 0;
    if (note.kind == repo::NoteKind::proof) {
        const repo::ProofRecord proof = repo::decode_proof(note.text, repository.keys());
        out.verb = "prove";
        seconds = proof.seconds;
        outcome.proof_level = proof.level;
        outcome.result = proof.result == repo::ProofResult::pass   ? "pass"
                         : proof.result == repo::ProofResult::fail ? "fail"
                                                                   : "not_tested";
        out.state = proof.result == repo::ProofResult::pass   ? ledger::RunState::done
                    : proof.result == repo::ProofResult::fail ? ledger::RunState::failed
                                                              : ledger::RunState::partial;
    } else if (note.kind == repo::NoteKind::run) {
        const repo::RunRecord run = repo::decode_run(note.text, repository.keys());
        out.verb = run.verb;
        out.host = run.host;
        seconds = run.seconds;
        outcome.restore_seconds = run.seconds;
        outcome.result = run.result;
        outcome.items = run.items;
        outcome.bytes = run.bytes;
        out.state = run.result == "ok" ? ledger::RunState::done : ledger::RunState::failed;
        if (run.result != "ok") out.code = run.result;
        if (run.verb == "backup") {
            outcome.restore_seconds = 0;
            for (const repo::NoteLine& line : run.lines) {
                if (line.name == "job") out.job = line.found;
                if (line.name == "run") out.id = line.found;
                if (line.name == "error") out.error = outcome.error = line.found;
            }
        }
    } else {
        return std::nullopt;
    }
    if (out.id.empty()) out.id = fmt::format("{}{:04x}", snapshot.id.hex().substr(0, id_digits - 4), number + 1);
    out.repository = name;
    out.ended = note.time;
    out.due = out.start_at = out.started = note.time - static_cast<Nanoseconds>(seconds * one_second);
    outcome.source = snapshot.source;
    outcome.component = snapshot.kind;
    if (out.verb != "backup") outcome.snapshot = snapshot.id.hex();  // the note of a failure lies on an earlier one
    outcome.seconds = seconds;
    out.outcomes.push_back(std::move(outcome));
    return out;
}

bool is_known(const ledger::Ledger& ledger, const repo::Snapshot& snapshot) {
    return std::ranges::any_of(std::array{"backup", "import", "follow"},
                               [&](const char* verb) { return ledger.knows(snapshot.id.hex(), verb); });
}

std::size_t rebuild_from(const repo::Repository& repository, const std::string& name, ledger::Ledger& ledger) {
    std::size_t added = 0;
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        if (!is_known(ledger, snapshot) && ledger.add_ended(run_of(snapshot, name))) ++added;
        const auto& notes = repository.notes().of(snapshot.id);
        for (std::size_t number = 0; number < notes.size(); ++number) {
            const auto run = run_of(notes[number], number, snapshot, repository, name);
            // What failed is known by the id of its run alone.
            if (run && (run->verb == "backup" || !ledger.knows(snapshot.id.hex(), run->verb, run->ended)) &&
                ledger.add_ended(*run))
                ++added;
        }
    }
    return added;
}

int run_rebuild(Context& context) {
    const auto ledger = open_ledger(context);
    std::vector<RepositoryChoice> choices;
    if (!context.globals.repository.empty() || context.config().repositories.empty())
        choices.push_back(context.choose_repository(context.globals.repository));
    else
        for (const RepositoryConfig& each : context.config().repositories)
            choices.push_back(context.choose_repository(each.name));
    std::size_t added = 0;
    for (const RepositoryChoice& choice : choices)
        added += rebuild_from(*context.open_repository(choice, context.usual_places()), choice.name, *ledger);
    if (context.out.is_json())
        context.out.record({{"type", "summary"}, {"schema", "holdfast.ledger.rebuild/1"}, {"added", added}});
    else
        context.out.say(fmt::format("{} came back into the ledger", counted(added, "run", "runs")));
    return 0;
}

}  // namespace

Command ledger_rebuild_command() {
    Command out;
    out.name = "ledger rebuild";
    out.part = Part::run;
    out.summary = "bring runs back into the ledger from the repositories' signed records";
    out.details =
        "Every snapshot, and every proof and restore of one, is signed into its repository; what the ledger does not "
        "know "
        "of them is added. The failure of a backup is signed onto its source's newest snapshot.";
    out.examples = {{"holdfast ledger rebuild", "after the ledger's disk was lost"}};
    out.run = [](Context& context) { return run_rebuild(context); };
    return out;
}

}  // namespace holdfast::app
