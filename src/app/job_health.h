// app/job_health.h: whether a job does what it is for, as the ledger knows it.
//
// Errors   those of the ledger
#pragma once

#include "ledger/ledger.h"
#include "policy/job.h"

namespace holdfast::app {

inline bool is_proof(const policy::Job& job) { return std::holds_alternative<policy::ProveTask>(job.task); }

// The newest run that was done; of proofs also one that left some of them to the next.
std::optional<ledger::Run> last_good(const ledger::Ledger& ledger, const policy::Job& job);
// A job that has not run yet is not overdue.
bool is_overdue(const ledger::Ledger& ledger, const policy::Job& job, Nanoseconds now);

}  // namespace holdfast::app
