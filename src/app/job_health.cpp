#include "app/job_health.h"

#include <algorithm>

namespace holdfast::app {

namespace {

bool may_leave_some(const policy::Job& job) {
    const auto* const task = std::get_if<policy::ProveTask>(&job.task);
    return task != nullptr && task->to.empty();
}

}  // namespace

bool is_good(const policy::Job& job, const ledger::Run& run) {
    if (run.state != ledger::RunState::partial || !may_leave_some(job)) return run.state == ledger::RunState::done;
    return !run.outcomes.empty() &&
           std::ranges::all_of(run.outcomes, [](const ledger::Outcome& each) { return each.result == "pass"; });
}

std::optional<ledger::Run> last_good(const ledger::Ledger& ledger, const policy::Job& job) {
    auto done = ledger.last_done(job.name);
    if (!may_leave_some(job)) return done;
    for (ledger::Run& run :
         ledger.runs({.job = job.name, .state = ledger::RunState::partial, .since = done ? done->due : 0}))
        if (is_good(job, run)) return std::move(run);
    return done;
}

bool is_overdue(const ledger::Ledger& ledger, const policy::Job& job, Nanoseconds now) {
    const auto allowed = policy::overdue_after(job, now);
    if (!allowed || !ledger.last(job.name)) return false;
    const auto good = last_good(ledger, job);
    return !good || now - good->ended > *allowed;
}

}  // namespace holdfast::app
