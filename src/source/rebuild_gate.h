// source/rebuild_gate.h: the lock of a rebuild in which items wait for each other, as rows do for the tables that take them.
//
// Shape    guarded() around what a worker does, wait() where it needs what another one makes; both under `mutex`
// Errors   from wait(): what failed first in guarded(), or target_failed when the restore was given up
// Threads  all members from any
// I1  nobody waits for ever: not after a failure in guarded() or a give_up(), and not when the world stops
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/world.h"

namespace holdfast {

class RebuildGate {
public:
    explicit RebuildGate(World& world) : world_(world) {}

    std::mutex mutex;  // guards what is waited for

    void changed() { changed_.notify_all(); }
    // With the mutex held: what is missing will not come.
    void give_up() {
        given_up_ = true;
        changed_.notify_all();
    }

    template <class Work>
    void guarded(const Work& work) {
        try {
            work();
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!cause_) cause_ = std::current_exception();
            give_up();
            throw;
        }
    }

    // The lock is still held when it returns.
    template <class Condition>
    std::unique_lock<std::mutex> wait(const Condition& is_met) {
        std::unique_lock lock(mutex);
        while (!is_met()) {
            if (cause_) std::rethrow_exception(cause_);
            if (given_up_) throw Error{Code::target_failed, "the restore was given up, because a part of it failed"};
            changed_.wait_for(lock, stop_wait_max);
            world_.stop.check();
        }
        return lock;
    }

private:
    static constexpr std::chrono::milliseconds stop_wait_max{200};
    World& world_;
    std::condition_variable changed_;
    // guarded by mutex
    bool given_up_ = false;
    std::exception_ptr cause_;  // who waits may be heard first
};

}  // namespace holdfast
