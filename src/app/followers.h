// app/followers.h: keeps a `holdfast follow SOURCE` running for every source with `follow: true`, and a `holdfast copy --follow`
// for every repository with it.
//
// Shape    step() starts what is to run, waits longer after each failure, and tells the ledger how far each has come
// Units    nanoseconds, steady time
// Errors   the ledger's
// Threads  one
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/child_executor.h"
#include "app/config.h"
#include "base/process.h"
#include "ledger/ledger.h"

namespace holdfast::app {

// How the ledger calls it.
std::string follower_of_copy(const std::string& repository);

class Followers {
public:
    Followers(World& world, ledger::Ledger& ledger, const ConfigInUse& in_use)
        : world_(world), ledger_(ledger), in_use_(in_use) {}

    // Those whose source is gone are stopped, those that are to work otherwise started again.
    void set_followed(const Config& config);
    void step();
    void stop();  // asks them to end; who has not after half a minute is killed
    bool is_idle() const;
    std::size_t count() const { return followed_.size(); }

private:
    struct Followed {
        std::vector<std::string> command = {};  // of this program
        Nanoseconds objective = 0;
        std::unique_ptr<Child> child;
        std::string text = {};  // of its output, not yet a line
        Nanoseconds start_at = 0;
        Nanoseconds started = 0;
        Nanoseconds wait = 0;
        // How far a cluster's masters, or the source itself, are stored; 0: not known yet.
        std::map<std::string, Nanoseconds> parts = {};
        Nanoseconds reached = 0;  // by all of them
        Nanoseconds told = 0;
        std::uint64_t restarts = 0;
        std::string error = {};
        std::string works_by = {};  // of the configuration
        bool leaving = false;
        bool renewed = false;     // it is asked to end and begin again
        Nanoseconds kill_at = 0;  // 0: it was not asked to end
    };
    void set(const std::string& name, std::vector<std::string> command, Nanoseconds objective,
             const std::string& works_by);
    void ask_to_end(const std::string& source, Followed& followed);
    void start(const std::string& source, Followed& followed);
    void read_output(Followed& followed);
    void take_line(Followed& followed, const std::string& line);
    void take_end(const std::string& source, Followed& followed, const ExitStatus& status);
    void tell(const std::string& source, Followed& followed, const std::string& state);

    World& world_;
    ledger::Ledger& ledger_;
    const ConfigInUse& in_use_;
    bool stopping_ = false;
    std::map<std::string, Followed> followed_;
};

}  // namespace holdfast::app
