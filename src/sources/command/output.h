// sources/command/output.h: the bytes that a command prints, and how it ended.
//
// Errors   failure() says why the capture is void; cancelled and terminated from read() when we are to stop
// Threads  read() from one thread, failure() after its end; a command that is still running then is killed
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/process.h"
#include "base/world.h"

namespace holdfast::command {

struct OutputOptions {
    std::vector<std::string> run;  // {"-"}: standard input
    std::optional<std::chrono::nanoseconds> timeout;
    bool allow_empty = false;
};

class Output {
public:
    Output(World& world, const OutputOptions& options);
    // Fills `into` as far as it can; 0 at the end.
    std::size_t read(MutableByteView into);
    // Nothing when all that it printed was read and it ended well.
    std::optional<std::string> failure();
    bool is_empty() const { return bytes_ == 0 && is_over_; }
    // What the command said besides.
    std::string stderr_tail() { return child_ ? child_->stderr_tail() : std::string(); }

private:
    using Instant = std::chrono::steady_clock::time_point;
    std::optional<std::size_t> read_some(MutableByteView into, Instant until);
    void end();

    World& world_;
    const OutputOptions options_;
    std::optional<Child> child_;
    std::optional<Instant> deadline_;
    std::uint64_t bytes_ = 0;
    bool is_over_ = false;
    std::optional<std::string> failure_;
};

}  // namespace holdfast::command
