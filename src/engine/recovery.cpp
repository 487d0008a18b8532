#include "engine/recovery.h"

#include <algorithm>

#include "base/error.h"
#include "repo/notes.h"
#include "repo/proof_note.h"

namespace holdfast::engine {

namespace {

// 0: the note does not say.
double seconds_of(const repo::SnapshotNote& note, const repo::Snapshot& snapshot, const repo::Keyring& keys) {
    if (!keys.may(note.author, repo::Right::read)) return 0;
    if (note.kind == repo::NoteKind::proof) {
        const repo::ProofRecord proof = repo::decode_proof(note.text, keys);
        return proof.result == repo::ProofResult::pass ? proof.restore_seconds : 0;
    }
    if (note.kind != repo::NoteKind::run) return 0;
    const repo::RunRecord run = repo::decode_run(note.text, keys);
    const bool brought_it_back =
        run.run.empty() && run.verb == "restore" && run.result == "ok" && run.bytes * 2 > snapshot.bytes.logical;
    return brought_it_back ? run.seconds : 0;
}

}  // namespace

std::vector<double> recovery_seconds(const repo::Repository& repository, const std::string& source) {
    std::vector<std::pair<Nanoseconds, double>> found;
    for (const repo::Snapshot& snapshot : repository.snapshots()) {
        if (snapshot.source != source) continue;
        for (const repo::SnapshotNote& note : repository.notes().of(snapshot.id)) {
            try {
                const double seconds = seconds_of(note, snapshot, repository.keys());
                if (seconds > 0) found.emplace_back(note.time, seconds);
            } catch (const Error& error) {
                if (error.code() != Code::corrupt) throw;  // opening the repository has told of it
            }
        }
    }
    std::ranges::sort(found, std::greater{});
    std::vector<double> out;
    for (const auto& [time, seconds] : found) out.push_back(seconds);
    return out;
}

}  // namespace holdfast::engine
