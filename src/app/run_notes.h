// app/run_notes.h: leaves a signed record of every run in its repository, from which `ledger rebuild` brings it back. What cannot
// be written there waits in the ledger for the next run that reaches the repository.
//
// Errors   none: what is not written is logged, and waits
// Threads  one
// Source   doc/format/notes.md
#pragma once

#include <optional>

#include "app/context.h"
#include "ledger/ledger.h"
#include "repo/proof_note.h"

namespace holdfast::app {

// Of all runs of this repository, by its name, that have no record yet. Nobody is asked for a passphrase.
void leave_run_notes(Context& context, ledger::Ledger& ledger, const std::string& repository);
// Nothing: the note is of a restore only, or of a later version.
std::optional<ledger::Run> run_of(const repo::RunRecord& record);

}  // namespace holdfast::app
