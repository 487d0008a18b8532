// app/job_health.h: whether a job does what it is for, as the ledger knows it.
//
// Errors   those of the ledger
#pragma once

#include "ledger/ledger.h"
#include "policy/job.h"

namespace holdfast::app {

// It was done, or it is one of proofs that passed some and left the others to the next run: what was tried and is not tested,
// and a restore that is not whole, is no success. `run` has its outcomes.
bool is_good(const policy::Job& job, const ledger::Run& run);
// The newest one.
std::optional<ledger::Run> last_good(const ledger::Ledger& ledger, const policy::Job& job);
// A job that has not run yet is not overdue.
bool is_overdue(const ledger::Ledger& ledger, const policy::Job& job, Nanoseconds now);

}  // namespace holdfast::app
