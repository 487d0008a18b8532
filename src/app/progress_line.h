// app/progress_line.h: shows how far long work is.
//
// Shape    on a terminal one line ten times a second, else a line every ten seconds; with --json and -v a
//          {"type":"progress"} line each second
// Threads  one thread of its own, ended by the destructor
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "app/output.h"
#include "base/world.h"
#include "engine/progress.h"

namespace holdfast::app {

struct ProgressSample {
    std::uint64_t items = 0;
    std::uint64_t items_total = 0;  // 0: not known
    std::uint64_t bytes = 0;
    std::uint64_t bytes_total = 0;
    Nanoseconds elapsed = 0;
};

// Bytes a second over the last few seconds.
class Rate {
public:
    double update(Nanoseconds elapsed, std::uint64_t bytes);

private:
    Nanoseconds last_time_ = 0;
    std::uint64_t last_bytes_ = 0;
    double per_second_ = 0;
};

// "files:/etc@web1  45 %  1.24 GB of 2.75 GB  12,345 items  210 MB/s  8 s left"
std::string progress_text(const std::string& what, const ProgressSample& sample, double bytes_per_second);

class ProgressLine {
public:
    ProgressLine(Output& out, const Clock& clock, const engine::Progress& progress, std::string what);
    ~ProgressLine();
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

private:
    void run(const std::stop_token& token, Nanoseconds interval);
    ProgressSample sample() const;
    void show();

    // fixed after construction
    Output& out_;
    const Clock& clock_;
    const engine::Progress& progress_;
    const std::string what_;
    const Nanoseconds begin_;
    const bool on_terminal_;

    Rate rate_;  // of the thread
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_;
};

}  // namespace holdfast::app
