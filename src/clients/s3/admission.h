// clients/s3/admission.h: how many requests may be under way: more while all goes well, half when the store is too busy.
//
// Shape    one more for each success until the store is too busy for the first time, then one more for each round of them
// Threads  all members from any
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace holdfast::s3 {

class Admission {
public:
    explicit Admission(double first = 8, double most = 64) : allowed_(first), most_(most) {}

    // Held while a request is under way.
    class Pass {
    public:
        explicit Pass(Admission& owner) : owner_(owner) {
            std::unique_lock lock(owner_.mutex_);
            owner_.changed_.wait(lock, [&] { return owner_.under_way_ < owner_.allowed_; });
            ++owner_.under_way_;
        }
        ~Pass() {
            const std::lock_guard lock(owner_.mutex_);
            owner_.under_way_ -= 1;
            if (end_ == End::slow) {
                owner_.was_slow_ = true;
                owner_.allowed_ = std::max(1.0, owner_.allowed_ / 2);
            } else if (end_ == End::success) {
                owner_.allowed_ =
                    std::min(owner_.most_, owner_.allowed_ + (owner_.was_slow_ ? 1 / owner_.allowed_ : 1));
            }
            owner_.changed_.notify_all();
        }
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;
        void succeeded() {
            if (end_ != End::slow) end_ = End::success;
        }
        void slow_down() { end_ = End::slow; }

    private:
        enum class End : std::uint8_t { failure, success, slow };

        Admission& owner_;
        End end_ = End::failure;
    };
    double allowed() const {
        const std::lock_guard lock(mutex_);
        return allowed_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    double allowed_;
    double under_way_ = 0;
    bool was_slow_ = false;
    const double most_;
};

}  // namespace holdfast::s3
