// app/child_executor.h: carries out the scheduler's runs as children: `holdfast run JOB --run-id ID`.
//
// A run that leaks, crashes or hangs takes nothing else with it (doc/adr/0009). A child outlives a daemon that is killed:
// it holds its run's lease itself.
//
// Errors   failed when no process can be started
// Threads  one
#pragma once

#include <list>
#include <memory>
#include <string>

#include "base/process.h"
#include "service/executor.h"

namespace holdfast::app {

// argv of this program with these words, as its own child.
ChildOptions own_child(std::vector<std::string> words, const std::string& config);

class ChildExecutor final : public service::Executor {
public:
    explicit ChildExecutor(std::string config) : config_(std::move(config)) {}

    void start(const policy::Job& job, const ledger::Run& run) override;
    std::vector<Ended> ended() override;
    void stop(const std::string& run, Urgency urgency) override;

private:
    struct Going {
        std::string run;
        std::unique_ptr<Child> child;
    };
    const std::string config_;
    std::list<Going> going_;
};

}  // namespace holdfast::app
