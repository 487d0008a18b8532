// repo/proof_note.h: what a proof or a run found, as the text of its note.
//
// Shape    level, result and seconds in the clear, for retention and for whoever holds no read key; what was compared
//          and where is sealed to the reader
// Errors   corrupt when the text of a note does not parse
// Source   doc/format/notes.md
#pragma once

#include <string>
#include <vector>

#include "base/world.h"
#include "repo/keys.h"
#include "repo/snapshot.h"

namespace holdfast::repo {

struct NoteLine {
    std::string name;
    ProofResult result = ProofResult::not_tested;
    std::string expected;
    std::string found;
};

struct ProofRecord {
    std::uint8_t level = 0;
    ProofResult result = ProofResult::not_tested;
    double seconds = 0;          // kept to the millisecond
    double restore_seconds = 0;  // of it, until the data was back; 0: not known
    std::string tool;            // "holdfast 0.4.0"
    // sealed
    std::string basis;     // of the facts
    std::string coverage;  // for people: "812 of 812 facts, 3 checks"
    std::vector<std::string> isolation;
    std::vector<NoteLine> lines;
};

struct RunRecord {
    std::string verb;    // "restore"
    std::string result;  // "ok", or the slug of an error
    double seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    std::string tool;
    // sealed
    std::string host;
    std::string target;
    std::vector<NoteLine> lines;
    std::string run;  // as a ledger has it, in JSON; empty: the note is of a restore, which has a run beside it
};

constexpr std::size_t note_lines_max = 1000;

std::string encode(const ProofRecord& record, const Keyring& keys, Random& random);
std::string encode(const RunRecord& record, const Keyring& keys, Random& random);
// Without the read key, what is sealed stays empty.
ProofRecord decode_proof(std::string_view text, const Keyring& keys);
RunRecord decode_run(std::string_view text, const Keyring& keys);

// What was sealed, opened.
void decode_detail(ByteView plain, ProofRecord& record);
void decode_detail(ByteView plain, RunRecord& record);

// A later proof replaces an earlier one unless it says less: a quick look takes nothing from a full proof, and hides
// no failure that it could not have seen.
void add_proof(std::optional<Proof>& known, const Proof& later);

}  // namespace holdfast::repo
