// testing/sim_world.h: a world in which a seed decides everything and time passes only when told to.
//
// Shape    SimWorld sim{seed}; back_up(…, sim.world()); sim.clock.advance(one_second);
// Units    nanoseconds
// Threads  all members from any thread; one seed gives one run only when one thread asks
#pragma once

#include <atomic>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "base/world.h"

namespace holdfast {

class SimClock final : public Clock {
public:
    static constexpr Nanoseconds first_now = 1'772'323'200 * one_second;  // 2026-03-01T00:00:00Z

    Nanoseconds now() const override { return now_; }
    Nanoseconds steady() const override { return steady_; }
    void sleep(Nanoseconds duration) override { advance(duration); }
    void advance(Nanoseconds duration) {
        now_ += duration;
        steady_ += duration;
    }
    void set_now(Nanoseconds time) { now_ = time; }  // as when somebody sets the machine's clock

private:
    std::atomic<Nanoseconds> now_{first_now};
    std::atomic<Nanoseconds> steady_{one_second};
};

class SimRandom final : public Random {
public:
    explicit SimRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(MutableByteView out) override;
    bool chance(double probability);
    std::uint64_t below(std::uint64_t bound) { return number() % bound; }

private:
    std::mutex mutex_;
    // guarded by mutex_
    std::mt19937_64 engine_;
};

class LogLines final : public Log {
public:
    struct Line {
        Level level;
        std::string text;
    };
    void write(Level level, std::string_view text) override;
    std::vector<Line> lines() const;
    bool contains(std::string_view text) const;
    void clear();

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<Line> lines_;
};

class SimWorld {
public:
    explicit SimWorld(std::uint64_t seed) : random(seed) {}
    SimWorld(const SimWorld&) = delete;
    SimWorld& operator=(const SimWorld&) = delete;
    World& world() { return world_; }

    SimClock clock;
    SimRandom random;
    Stop stop;
    LogLines log;

private:
    World world_{clock, random, stop, log};
};

}  // namespace holdfast
