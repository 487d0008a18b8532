// app/child_executor.h: carries out the scheduler's runs as children: `holdfast run JOB --run-id ID`.
//
// A run that leaks, crashes or hangs takes nothing else with it (doc/adr/0009). A child outlives a daemon that is killed:
// it holds its run's lease itself. Each leads a session, so that what it has started can be killed with it.
//
// Errors   failed when no process can be started
// Threads  one
#pragma once

#include <list>
#include <memory>
#include <string>

#include "app/secrets.h"
#include "base/process.h"
#include "service/executor.h"

namespace holdfast::app {

// The configuration that is in use. Children get its text, as the file may have become another, or wrong, since, and the secrets
// that were taken out of the environment.
class ConfigInUse {
public:
    ConfigInUse(std::string path, const Secrets& secrets) : path_(std::move(path)), secrets_(secrets) {}
    void set(std::string_view text);
    const std::string& path() const { return path_; }
    int text() const { return text_.get(); }
    const Secrets& secrets() const { return secrets_; }

private:
    const std::string path_;
    const Secrets& secrets_;
    Fd text_;
};

// argv of this program with these words, as its own child.
ChildOptions own_child(std::vector<std::string> words, const ConfigInUse& config);

class ChildExecutor final : public service::Executor {
public:
    explicit ChildExecutor(const ConfigInUse& config) : config_(config) {}

    void start(const policy::Job& job, const ledger::Run& run) override;
    std::vector<Ended> ended() override;
    void stop(const std::string& run, Urgency urgency) override;

private:
    struct Going {
        std::string run;
        std::unique_ptr<Child> child;
    };
    const ConfigInUse& config_;
    std::list<Going> going_;
};

}  // namespace holdfast::app
