// base/world.h: the one door to clock, randomness, stop and log, so that tests replace them.
//
// Shape    World is handed down by reference; nothing else in the code asks the machine for time or chance
// Units    wall time in nanoseconds since 1970 UTC; steady time in nanoseconds since an unnamed start
// Threads  all members may be used from any thread
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds one_second = 1'000'000'000;

class Clock {
public:
    virtual ~Clock() = default;
    virtual Nanoseconds now() const = 0;       // wall clock; may jump
    virtual Nanoseconds steady() const = 0;    // never goes back; counts while the machine sleeps
    virtual void sleep(Nanoseconds duration);  // the calling thread; a simulated clock jumps instead
};

class Random {
public:
    virtual ~Random() = default;
    virtual void fill(MutableByteView out) = 0;  // unpredictable, fit for keys
    template <std::size_t N>
    std::array<std::uint8_t, N> array() {
        std::array<std::uint8_t, N> out;
        fill(out);
        return out;
    }
    std::uint64_t number() {
        const auto raw = array<8>();
        std::uint64_t value;
        std::memcpy(&value, raw.data(), 8);
        return value;
    }
};

// Set once by a signal or a failing worker; long work asks it between steps.
class Stop {
public:
    void request(int signal = 0) noexcept {
        signal_.store(signal, std::memory_order_relaxed);
        requested_.store(true, std::memory_order_release);
    }
    bool requested() const noexcept { return requested_.load(std::memory_order_acquire); }
    void check() const;  // throws cancelled (SIGINT) or terminated (SIGTERM)

private:
    std::atomic<bool> requested_{false};
    std::atomic<int> signal_{0};
};

enum class Level : std::uint8_t { debug, info, warning, error };

class Log {
public:
    virtual ~Log() = default;
    virtual void write(Level level, std::string_view text) = 0;
    void debug(std::string_view text) { write(Level::debug, text); }
    void info(std::string_view text) { write(Level::info, text); }
    void warning(std::string_view text) { write(Level::warning, text); }
};

struct World {
    Clock& clock;
    Random& random;
    Stop& stop;
    Log& log;
};

// The machine's own: CLOCK_REALTIME and CLOCK_BOOTTIME, getrandom(2), stderr by spdlog.
Clock& system_clock();
Random& system_random();
Log& stderr_log(Level least);  // one per process; the last `least` asked for counts
// SIGINT and SIGTERM set `stop`; a second one of either ends the process at once. SIGPIPE is ignored.
void stop_on_signals(Stop& stop);

}  // namespace holdfast
