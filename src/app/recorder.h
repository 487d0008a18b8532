// app/recorder.h: writes a run into the ledger while it goes on: progress, log, outcomes and how it ended.
//
// Shape    a thread renews the run's lease; a run that is to stop, which the ledger says then, is stopped as by SIGTERM
// Errors   a ledger that fails never fails the work: it is waited for at its end, then warned of
// Threads  add() from the thread of the work
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "app/context.h"
#include "ledger/ledger.h"

namespace holdfast::app {

// The ledger of the configuration.
ledger::Place ledger_place(Context& context);
std::unique_ptr<ledger::Ledger> open_ledger(Context& context);

// Asks again, for two minutes, while the ledger is away or locked.
void ask_patiently(const World& world, const std::function<void()>& ask);

class Recorder {
public:
    static constexpr Nanoseconds lease = 60 * one_second;

    // `run` is claimed already.
    Recorder(Context& context, std::shared_ptr<ledger::Ledger> ledger, ledger::Run run);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void add(ledger::Outcome outcome);
    const ledger::Run& run() const { return run_; }
    ledger::Ledger& ledger() const { return *ledger_; }
    void end(ledger::RunState state, const std::string& code, const std::string& error);

private:
    void keep_up(const std::stop_token& token);
    void write_log();

    Context& context_;
    const std::shared_ptr<ledger::Ledger> ledger_;
    ledger::Run run_;
    bool ended_ = false;
    std::mutex mutex_;
    // guarded by mutex_
    std::string log_;
    std::condition_variable_any wake_;
    std::jthread thread_;
};

// Of the run that `context` is part of, if any.
void record(Context& context, ledger::Outcome outcome);

// How an exit status is told of a run: 0 done, 3 done in part, all else failed.
ledger::RunState state_of_exit(int exit);

// Runs `work` as a run of its own, where a ledger is configured, unless it is part of one.
int recorded_by_hand(Context& context, const std::string& verb, const std::function<int()>& work);

}  // namespace holdfast::app
