// app/failure_records.h: leaves a signed record of a backup that failed in the repository, on its source's newest
// snapshot; what cannot be written there waits in the ledger's outbox for the next backup that reaches the repository.
//
// Errors   none: a record that cannot be left is warned of
// Threads  one
// Source   doc/format/notes.md
#pragma once

#include <string>
#include <vector>

#include "app/context.h"
#include "ledger/ledger.h"
#include "repo/repository.h"

namespace holdfast::app {

struct FailureRecord {
    std::string run;  // of the ledger; empty: it is not recorded there
    std::string job;
    std::string source;
    std::string result;  // slug of the error
    std::string error;
    std::string host;
    Nanoseconds time = 0;
    double seconds = 0;
};

// Those of this run, and those that waited.
void leave_failures(Context& context, repo::Repository& repository, std::vector<FailureRecord> failures);
// The repository was not reached at all.
void keep_failures(Context& context, const std::vector<FailureRecord>& failures);

}  // namespace holdfast::app
