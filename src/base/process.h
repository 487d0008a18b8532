// base/process.h: child processes started without a shell, with an environment and descriptors of our choice.
//
// Shape    Child child{{.argv = {"pg_dump", "-Fc"}}}; read child.out(); const ExitStatus end = child.wait();
// Errors   not_found when the program does not exist; failed for fork or pipe failures
// Threads  one owner
// Limits   arguments and environment together: 6 MB; of stderr the last stderr_bytes_max are kept
// Life     a Child that goes out of scope is killed and reaped
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct ChildOptions {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH
    std::vector<std::string> remove_environment = {
        "HOLDFAST_PASSWORD",     "HOLDFAST_PASSWORD_FILE",     "HOLDFAST_KEY_FILE",
        "HOLDFAST_TO_PASSWORD",  "HOLDFAST_TO_PASSWORD_FILE",  "HOLDFAST_TO_KEY_FILE",
        "HOLDFAST_NEW_PASSWORD", "HOLDFAST_NEW_PASSWORD_FILE", "HOLDFAST_NEW_KEY_FILE",
    };
    std::vector<std::pair<std::string, std::string>> add_environment;
    bool capture_stdout = true;  // else it goes to our stderr
    bool give_stdin = false;     // else it is /dev/null
    int stdin_from = -1;         // a descriptor that it reads instead
    bool capture_stderr = true;  // else it is passed through
    bool own_session = false;    // so that kill() reaches those, too, that have made process groups of their own
};

struct ExitStatus {
    int code = 0;    // exit code, when signal is 0
    int signal = 0;  // the signal that ended it
    bool ok() const { return code == 0 && signal == 0; }
    std::string text() const;  // "exit status 3", "killed by signal 9"
};

class Child {
public:
    static constexpr std::size_t stderr_bytes_max = 16 * 1024;

    explicit Child(const ChildOptions& options);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    int out() const { return out_.get(); }
    int in() const { return in_.get(); }
    void close_in() { in_.reset(); }
    // Up to bytes.size() bytes of its stdout; 0 at the end; nothing when `deadline` passed without a byte.
    std::optional<std::size_t> read(MutableByteView bytes,
                                    std::optional<std::chrono::steady_clock::time_point> deadline = {});
    ExitStatus wait();
    // Nothing when it still runs at the deadline.
    std::optional<ExitStatus> wait_until(std::chrono::steady_clock::time_point deadline);
    void kill(int signal);      // to its whole process group, or session
    std::string stderr_tail();  // what it had said until it ended, which is waited for
    pid_t pid() const { return pid_; }

private:
    void keep_stderr(const Fd& over);
    void end_reader();

    pid_t pid_ = -1;
    bool leads_session_;
    Fd out_;
    Fd in_;
    Fd err_;
    Fd going_;  // closed once it has ended
    std::optional<ExitStatus> ended_;
    std::string err_tail_;
    std::jthread err_reader_;
};

// Runs to the end and returns what it printed; failed (with the tail of stderr) unless it exits 0.
Bytes run_and_read(const ChildOptions& options);

}  // namespace holdfast
