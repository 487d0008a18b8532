// service/executor.h: what carries out the runs that the scheduler starts: child processes; in tests a simulation.
//
// Errors   start() throws what keeps a run from beginning: it has failed then
// Threads  the scheduler's
#pragma once

#include <string>
#include <vector>

#include "ledger/run.h"
#include "policy/job.h"

namespace holdfast::service {

class Executor {
public:
    virtual ~Executor() = default;

    // The run is claimed; whoever carries it out ends it in the ledger.
    virtual void start(const policy::Job& job, const ledger::Run& run) = 0;

    struct Ended {
        std::string run;
        std::string complaint;  // what it said last, for a run that did not end itself in the ledger
    };
    // Those that have ended since this was last asked.
    virtual std::vector<Ended> ended() = 0;

    enum class Urgency { politely, at_once };
    virtual void stop(const std::string& run, Urgency urgency) = 0;
};

}  // namespace holdfast::service
