#include "app/job_health.h"

namespace holdfast::app {

std::optional<ledger::Run> last_good(const ledger::Ledger& ledger, const policy::Job& job) {
    auto last = ledger.last_ended(job.name);
    if (is_proof(job) && last && last->state == ledger::RunState::partial) return last;
    return ledger.last_done(job.name);
}

bool is_overdue(const ledger::Ledger& ledger, const policy::Job& job, Nanoseconds now) {
    const auto allowed = policy::overdue_after(job, now);
    if (!allowed || !ledger.last(job.name)) return false;
    const auto good = last_good(ledger, job);
    return !good || now - good->ended > *allowed;
}

}  // namespace holdfast::app
