#include "base/workers.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <system_error>

#include "base/error.h"

namespace holdfast {

namespace {

constexpr int nicer = 10;

thread_local const Workers* pool_of_this_thread = nullptr;

// Threads of Linux have priorities of their own.
void lower_priority() {
    const auto self = static_cast<id_t>(::gettid());
    ::setpriority(PRIO_PROCESS, self, ::getpriority(PRIO_PROCESS, self) + nicer);
}

}  // namespace

std::size_t core_count() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return static_cast<std::size_t>(CPU_COUNT(&set));
    return std::max(1U, std::thread::hardware_concurrency());
}

Workers::Workers(std::size_t count, std::size_t waiting_max, Priority priority)
    : waiting_max_(waiting_max), priority_(priority) {
    threads_.reserve(count);
    try {
        for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
    } catch (const std::system_error& error) {
        // Those that could be made do the work.
        if (threads_.empty())
            throw Error{Code::failed, "cannot make a thread: {}", error.code().message()}.hint(
                "Too many processes or threads run here, or their number is limited.");
    }
}

Workers::~Workers() {
    {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
    }
    end_threads();
}

void Workers::submit(Task task) {
    std::unique_lock lock(mutex_);
    if (waiting_.size() >= waiting_max_) {
        if (pool_of_this_thread == this) {
            lock.unlock();
            task();
            return;
        }
        room_.wait(lock, [&] { return failure_ || waiting_.size() < waiting_max_; });
    }
    if (failure_) return;
    waiting_.push_back(std::move(task));
    lock.unlock();
    work_.notify_one();
}

void Workers::drain() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return running_ == 0 && waiting_.empty(); });
    if (failure_) rethrow(failure_);
}

void Workers::finish() {
    drain();
    end_threads();
}

bool Workers::failed() const {
    const std::lock_guard lock(mutex_);
    return failure_ != nullptr;
}

void Workers::rethrow_if_failed() const {
    const std::lock_guard lock(mutex_);
    if (failure_) rethrow(failure_);
}

bool Workers::help() {
    std::unique_lock lock(mutex_);
    if (waiting_.empty()) return false;
    Task task = std::move(waiting_.front());
    waiting_.pop_front();
    const Workers* before = std::exchange(pool_of_this_thread, this);
    execute(task, lock);
    pool_of_this_thread = before;
    return true;
}

void Workers::run() {
    pool_of_this_thread = this;
    if (priority_ == Priority::low) lower_priority();
    std::unique_lock lock(mutex_);
    while (true) {
        work_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        Task task = std::move(waiting_.front());
        waiting_.pop_front();
        execute(task, lock);
    }
}

void Workers::execute(Task& task, std::unique_lock<std::mutex>& lock) {
    ++running_;
    lock.unlock();
    room_.notify_one();
    std::exception_ptr failure;
    try {
        task();
    } catch (...) {
        failure = std::current_exception();
    }
    task = nullptr;  // what it holds is released outside the lock
    lock.lock();
    --running_;
    if (failure && !failure_) {
        failure_ = failure;
        waiting_.clear();
        room_.notify_all();
    }
    if (running_ == 0 && waiting_.empty()) idle_.notify_all();
}

void Workers::end_threads() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    work_.notify_all();
    threads_.clear();
}

void Workers::rethrow(std::exception_ptr failure) const {
    Error error = as_error(std::move(failure));
    error.add_notes(current_notes());
    throw error;
}

}  // namespace holdfast
