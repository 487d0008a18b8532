#include <algorithm>
#include <array>
#include <map>

#include "app/command.h"
#include "app/context.h"
#include "app/recorder.h"
#include "app/run_notes.h"
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

// Of a proof or restore whose own note tells of it; nothing of other notes.
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
        outcome.restore_seconds = proof.restore_seconds;
        outcome.result = proof.result == repo::ProofResult::pass   ? "pass"
                         : proof.result == repo::ProofResult::fail ? "fail"
                                                                   : "not_tested";
        out.state = proof.result == repo::ProofResult::pass   ? ledger::RunState::done
                    : proof.result == repo::ProofResult::fail ? ledger::RunState::failed
                                                              : ledger::RunState::partial;
    } else if (note.kind == repo::NoteKind::run) {
        const repo::RunRecord run = repo::decode_run(note.text, repository.keys());
        if (!run.run.empty()) return std::nullopt;
        out.verb = run.verb;
        out.host = run.host;
        seconds = run.seconds;
        outcome.restore_seconds = run.seconds;
        outcome.result = run.result;
        outcome.items = run.items;
        outcome.bytes = run.bytes;
        out.state = run.result == "ok" ? ledger::RunState::done : ledger::RunState::failed;
        if (run.result != "ok") out.code = run.result;
    } else {
        return std::nullopt;
    }
    out.id = fmt::format("{}{:04x}", snapshot.id.hex().substr(0, id_digits - 4), number + 1);
    out.repository = name;
    out.ended = note.time;
    out.due = out.start_at = out.started = note.time - static_cast<Nanoseconds>(seconds * one_second);
    outcome.source = snapshot.source;
    outcome.component = snapshot.kind;
    outcome.snapshot = snapshot.id.hex();
    outcome.seconds = seconds;
    out.outcomes.push_back(std::move(outcome));
    return out;
}

bool is_known(const ledger::Ledger& ledger, const repo::Snapshot& snapshot) {
    return std::ranges::any_of(std::array{"backup", "import", "follow"},
                               [&](const char* verb) { return ledger.knows(snapshot.id.hex(), verb); });
}

bool add(ledger::Ledger& ledger, const ledger::Run& run) {
    if (!ledger.add_ended(run)) return false;
    ledger.has_note(run);
    return true;
}

// A key that cannot read proves nothing: from whom it was stolen, no report is to say PASS.
bool may_say(const repo::Keyring& keys, const repo::SnapshotNote& note, const ledger::Run& run) {
    const bool is_proof = std::ranges::any_of(run.outcomes, [](const auto& each) { return each.proof_level >= 0; });
    return !is_proof || keys.may(note.author, repo::Right::read);
}

// Nothing: it is no record of a run, or one that counts for nothing.
std::optional<ledger::Run> recorded(const repo::Repository& repository, const repo::SnapshotNote& note) {
    if (note.kind != repo::NoteKind::run) return std::nullopt;
    try {
        auto run = app::run_of(repo::decode_run(note.text, repository.keys()));
        return run && may_say(repository.keys(), note, *run) ? run : std::nullopt;
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        repository.world().log.warning(fmt::format("a record of a run is not known: {}", error.message()));
        return std::nullopt;
    }
}

// What was recorded as runs, whatever they did. Notes outlive the snapshot that they lie on.
std::size_t add_runs(const repo::Repository& repository, const std::string& name, ledger::Ledger& ledger) {
    std::map<std::string, std::pair<Nanoseconds, ledger::Run>> runs;  // the newest word on each
    for (const auto& [snapshot, notes] : repository.notes().all())
        for (const repo::SnapshotNote& note : notes) {
            auto run = recorded(repository, note);
            if (!run) continue;
            auto& known = runs[run->id];
            if (note.time < known.first) continue;
            run->repository = name;
            known = {note.time, std::move(*run)};
        }
    return static_cast<std::size_t>(
        std::ranges::count_if(runs, [&](const auto& each) { return add(ledger, each.second.second); }));
}

// … and what snapshots, proofs and restores say of themselves.
std::size_t rebuild_from(const repo::Repository& repository, const std::string& name, ledger::Ledger& ledger) {
    std::size_t added = add_runs(repository, name, ledger);
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        if (!is_known(ledger, snapshot) && add(ledger, run_of(snapshot, name))) ++added;
        const auto& notes = repository.notes().of(snapshot.id);
        for (std::size_t number = 0; number < notes.size(); ++number) {
            const auto run = run_of(notes[number], number, snapshot, repository, name);
            if (run && may_say(repository.keys(), notes[number], *run) &&
                !ledger.knows(snapshot.id.hex(), run->verb, run->ended) && add(ledger, *run))
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
        "Every run that was recorded, and every snapshot, proof and restore besides, is signed into its repository; "
        "what "
        "the ledger does not know of them is added.";
    out.examples = {{"holdfast ledger rebuild", "after the ledger's disk was lost"}};
    out.run = [](Context& context) { return run_rebuild(context); };
    return out;
}

}  // namespace holdfast::app
