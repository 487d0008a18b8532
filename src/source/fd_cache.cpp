#include "source/fd_cache.h"

#include <vector>

namespace holdfast {

FdCache::Pin FdCache::find(Slot& slot) {
    const std::lock_guard lock(mutex_);
    if (slot.fd_) recent_.splice(recent_.begin(), recent_, slot.place_);
    return slot.fd_;
}

FdCache::Pin FdCache::put(Slot& slot, Fd fd) {
    Pin pin = std::make_shared<Fd>(std::move(fd));
    Pin replaced;  // these close after the lock is released
    Pin oldest;
    const std::lock_guard lock(mutex_);
    if (slot.fd_) replaced = take_out(slot);
    if (recent_.size() >= open_max_) oldest = take_out(*recent_.back());
    if (spare_.empty()) spare_.push_front(nullptr);
    recent_.splice(recent_.begin(), spare_, spare_.begin());
    recent_.front() = &slot;
    slot.place_ = recent_.begin();
    slot.fd_ = pin;
    return pin;
}

FdCache::Pin FdCache::drop(Slot& slot) {
    const std::lock_guard lock(mutex_);
    return slot.fd_ ? take_out(slot) : nullptr;
}

void FdCache::clear() {
    std::vector<Pin> closing;
    const std::lock_guard lock(mutex_);
    while (!recent_.empty()) closing.push_back(take_out(*recent_.back()));
}

std::size_t FdCache::size() const {
    const std::lock_guard lock(mutex_);
    return recent_.size();
}

FdCache::Pin FdCache::take_out(Slot& slot) {
    spare_.splice(spare_.begin(), recent_, slot.place_);
    return std::move(slot.fd_);
}

}  // namespace holdfast
