// base/workers.h: threads that are joined, whose first error stops the rest and reaches whoever joins.
//
// Shape    Workers pool{count}; pool.submit(task); pool.finish(); fewer threads where no more can be made, failed for none
// Errors   finish() rethrows the first error of a task, with the joiner's notes added; later tasks are dropped
// Threads  submit() from any thread, also from a task; finish() from the owner
// Limits   submit() from outside waits while `waiting_max` tasks wait; from inside a task it never waits but
//          runs the task at once in the caller when the queue is full, so tasks that make tasks cannot deadlock
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace holdfast {

class Workers {
public:
    using Task = std::function<void()>;

    // Threads of low priority leave the processor to whoever else wants it.
    enum class Priority : std::uint8_t { usual, low };

    Workers(std::size_t count, std::size_t waiting_max, Priority priority = Priority::usual);
    ~Workers();  // drops what waits, joins, forgets errors
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    void submit(Task task);
    // Waits until nothing runs or waits, then rethrows the first error if there was one.
    void drain();
    // drain(), then ends the threads.
    void finish();
    bool failed() const;
    void rethrow_if_failed() const;
    // Runs one waiting task in the caller, if there is one. For callers that wait for a result of a task.
    bool help();
    std::size_t count() const { return threads_.size(); }

private:
    void run();
    void execute(Task& task, std::unique_lock<std::mutex>& lock);
    void end_threads();
    void rethrow(std::exception_ptr failure) const;

    const std::size_t waiting_max_;
    const Priority priority_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable work_;
    std::condition_variable room_;
    std::condition_variable idle_;
    std::deque<Task> waiting_;
    std::size_t running_ = 0;
    bool ending_ = false;
    std::exception_ptr failure_;
    std::vector<std::jthread> threads_;
};

// How many threads of work this machine runs at a time (its cores, respecting CPU affinity), at least 1.
std::size_t core_count();

}  // namespace holdfast
