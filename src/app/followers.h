// app/followers.h: keeps a `holdfast follow SOURCE` running for every source with `follow: true`.
//
// Shape    step() starts what is to run, waits longer after each failure, and tells the ledger how far each has come
// Units    nanoseconds, steady time
// Errors   the ledger's
// Threads  one
#pragma once

#include <map>
#include <memory>
#include <string>

#include "app/config.h"
#include "base/process.h"
#include "ledger/ledger.h"

namespace holdfast::app {

class Followers {
public:
    Followers(World& world, ledger::Ledger& ledger, std::string config)
        : world_(world), ledger_(ledger), config_(std::move(config)) {}

    void set_sources(const std::vector<SourceConfig>& sources);  // those that are gone are stopped
    void step();
    void stop();
    bool is_idle() const;
    std::size_t count() const { return followed_.size(); }

private:
    struct Part {
        Nanoseconds reached = 0;  // 0: not known yet
        Nanoseconds begins = 0;   // its base
    };
    struct Followed {
        Nanoseconds objective = 0;
        std::unique_ptr<Child> child;
        std::string text = {};  // of its output, not yet a line
        Nanoseconds start_at = 0;
        Nanoseconds started = 0;
        Nanoseconds wait = 0;
        std::map<std::string, Part> parts = {};  // a cluster's masters, or the source itself
        Nanoseconds reached = 0;                 // by all of them
        Nanoseconds told = 0;
        std::uint64_t restarts = 0;
        std::string error = {};
        bool leaving = false;
    };
    void start(const std::string& source, Followed& followed);
    void read_output(Followed& followed);
    void take_line(Followed& followed, const std::string& line);
    void take_end(const std::string& source, Followed& followed, const ExitStatus& status);
    void tell(const std::string& source, Followed& followed, const std::string& state);

    World& world_;
    ledger::Ledger& ledger_;
    const std::string config_;
    bool stopping_ = false;
    std::map<std::string, Followed> followed_;
};

}  // namespace holdfast::app
