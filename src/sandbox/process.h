// sandbox/process.h: a program in a sandbox, as far from the rest of the machine as can be.
//
// Shape    Process{sandbox, options}; wait_until(…), end(). It dies with us, whatever ends us, and all that it
//          started dies with it where it has a process name space
// Errors   failed when it cannot be started, with the step that failed; not_found when there is no such program
// Threads  one owner; the thread that starts it must live as long as it does
// Limits   log_tail() gives the last log_bytes_max of what it printed
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/process.h"
#include "sandbox/isolation.h"
#include "sandbox/sandbox.h"

namespace holdfast {

struct SandboxProcessOptions {
    // Who it runs as.
    enum class Identity : std::uint8_t {
        throwaway,  // the sandbox's user: for what may be hostile
        owner,      // ours, without rights over anything but what it sees: to look at what was restored
    };
    std::vector<std::string> argv = {};                                 // argv[0] an absolute path
    std::vector<std::pair<std::string, std::string>> environment = {};  // besides PATH, HOME, TMPDIR, LC_ALL
    std::vector<std::string> readable = {};  // further files and folders that it sees, at their own path
    std::string log = "log";                 // file in the sandbox's folder that takes its output
    int input = -1;                          // a descriptor of ours; -1: /dev/null
    int output = -1;                         // the same for what it prints, without its errors; -1: the log
    Identity identity = Identity::throwaway;
    std::uint64_t memory_bytes_max = 0;  // of address space, for each process; 0: no limit
};

class SandboxProcess {
public:
    static constexpr std::size_t log_bytes_max = 16 * 1024;

    SandboxProcess(Sandbox& sandbox, const SandboxProcessOptions& options);
    SandboxProcess(Sandbox& sandbox, const SandboxProcessOptions& options, const Isolation& isolation);
    ~SandboxProcess();  // end()
    SandboxProcess(const SandboxProcess&) = delete;
    SandboxProcess& operator=(const SandboxProcess&) = delete;

    const Isolation& isolation() const { return isolation_; }
    pid_t pid() const { return pid_; }
    // Nothing when it still runs at the deadline.
    std::optional<ExitStatus> wait_until(std::chrono::steady_clock::time_point deadline);
    void end();  // kills it and all that it started
    std::string log_tail() const;

private:
    Isolation isolation_;
    std::string log_;
    pid_t pid_ = -1;
    std::optional<ExitStatus> ended_;
};

}  // namespace holdfast
