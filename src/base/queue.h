// base/queue.h: a bounded first-in-first-out queue between threads.
//
// Threads  any number of pushers and poppers
// Limits   push() waits while the queue is full: that is what bounds memory
// Errors   none; after close() push() and pop() say so by their result
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

namespace holdfast {

template <class T>
class BoundedQueue {
public:
    explicit BoundedQueue(std::size_t items_max) : items_max_(items_max) {}

    // False when the queue was closed: the item was not taken.
    bool push(T item) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [&] { return closed_ || items_.size() < items_max_; });
        if (closed_) return false;
        items_.push_back(std::move(item));
        lock.unlock();
        not_empty_.notify_one();
        return true;
    }
    // False when the queue is full or closed; the item is left with the caller.
    bool try_push(T& item) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || items_.size() >= items_max_) return false;
            items_.push_back(std::move(item));
        }
        not_empty_.notify_one();
        return true;
    }
    // Nothing once the queue is closed and empty.
    std::optional<T> pop() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [&] { return closed_ || !items_.empty(); });
        return take(lock);
    }
    std::optional<T> try_pop() {
        std::unique_lock lock(mutex_);
        return take(lock);
    }
    // No more pushes; what is inside can still be popped.
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        not_full_.notify_all();
        not_empty_.notify_all();
    }
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return items_.size();
    }

private:
    std::optional<T> take(std::unique_lock<std::mutex>& lock) {
        if (items_.empty()) return std::nullopt;
        std::optional<T> item(std::move(items_.front()));
        items_.pop_front();
        lock.unlock();
        not_full_.notify_one();
        return item;
    }

    const std::size_t items_max_;
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::condition_variable not_full_;
    std::condition_variable not_empty_;
    std::deque<T> items_;
    bool closed_ = false;
};

}  // namespace holdfast
