#include "sources/redis/master_watch.h"

#include "base/error.h"
#include "clients/redis/discover.h"

namespace holdfast::redis {

namespace {
constexpr std::chrono::seconds ask_every{2};
}  // namespace

MasterWatch::MasterWatch(World& world, Endpoint sentinels, const Endpoint& master)
    : world_(world), sentinels_(std::move(sentinels)), master_(master.place()), thread_([this] { run(); }) {}

MasterWatch::~MasterWatch() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void MasterWatch::now_followed(const Endpoint& master) {
    const std::lock_guard lock(mutex_);
    master_ = master.place();
    another_.clear();
    known_until_ = 0;
}

std::string MasterWatch::another() const {
    const std::lock_guard lock(mutex_);
    return another_;
}

Nanoseconds MasterWatch::known_until() const {
    const std::lock_guard lock(mutex_);
    return known_until_;
}

void MasterWatch::run() noexcept {
    try {
        for (std::unique_lock lock(mutex_); !is_over_; changed_.wait_for(lock, ask_every, [&] { return is_over_; })) {
            lock.unlock();
            ask();
            lock.lock();
        }
    } catch (const Error&) {
        // We are to stop.
    }
}

void MasterWatch::ask() {
    const Nanoseconds asked = world_.clock.now();
    const std::optional<Endpoint> named = named_master(world_, sentinels_, Code::source_failed);
    if (!named) {
        if (!std::exchange(is_told_, true))
            world_.log.warning(fmt::format(
                "no Sentinel says which server is the master of {} now: it is not known whether the one that is "
                "followed still is",
                sentinels_.sentinel));
        return;
    }
    is_told_ = false;
    const std::lock_guard lock(mutex_);
    if (named->place() == master_)
        known_until_ = asked;
    else
        another_ = named->place();
}

}  // namespace holdfast::redis
