#include "base/world.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <thread>

#include "base/error.h"

namespace holdfast {

namespace {

Nanoseconds read_clock(clockid_t which) {
    timespec at{};
    clock_gettime(which, &at);
    return static_cast<Nanoseconds>(at.tv_sec) * one_second + at.tv_nsec;
}

class SystemClock final : public Clock {
public:
    Nanoseconds now() const override { return read_clock(CLOCK_REALTIME); }
    Nanoseconds steady() const override { return read_clock(CLOCK_BOOTTIME); }
};

class SystemRandom final : public Random {
public:
    void fill(MutableByteView out) override {
        while (!out.empty()) {
            const ssize_t got = getrandom(out.data(), out.size(), 0);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw Error{Code::failed, "getrandom: {}", errno_text(errno)};
            out = out.subspan(static_cast<std::size_t>(got));
        }
    }
};

class StderrLog final : public Log {
public:
    StderrLog() : logger_("holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
        logger_.set_pattern("holdfast: %v");
    }
    void least(Level level) { logger_.set_level(to_spdlog(level)); }
    void write(Level level, std::string_view text) override { logger_.log(to_spdlog(level), text); }

private:
    static spdlog::level::level_enum to_spdlog(Level level) {
        switch (level) {
            case Level::debug:
                return spdlog::level::debug;
            case Level::info:
                return spdlog::level::info;
            case Level::warning:
                return spdlog::level::warn;
            case Level::error:
                return spdlog::level::err;
        }
        return spdlog::level::err;
    }
    spdlog::logger logger_;
};

std::atomic<Stop*> stop_for_signals{nullptr};
std::atomic<bool> was_signalled{false};  // a stop that was asked for otherwise leaves a first signal its meaning

extern "C" void on_stop_signal(int signal) {
    Stop* stop = stop_for_signals.load();
    if (stop == nullptr || was_signalled.exchange(true)) {
        std::signal(signal, SIG_DFL);
        std::raise(signal);
        return;
    }
    stop->request(signal);
}

}  // namespace

void Clock::sleep(Nanoseconds duration) { std::this_thread::sleep_for(std::chrono::nanoseconds(duration)); }

void Stop::check() const {
    if (!requested()) return;
    if (signal_.load(std::memory_order_relaxed) == SIGTERM) throw Error{Code::terminated, "ended by SIGTERM"};
    throw Error{Code::cancelled, "interrupted"};
}

Clock& system_clock() {
    static SystemClock clock;
    return clock;
}

Random& system_random() {
    static SystemRandom random;
    return random;
}

Log& stderr_log(Level least) {
    static StderrLog log;
    log.least(least);
    return log;
}

void stop_on_signals(Stop& stop) {
    stop_for_signals.store(&stop);
    was_signalled = false;
    struct sigaction action {};
    action.sa_handler = on_stop_signal;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace holdfast
