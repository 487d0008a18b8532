// sources/redis/master_watch.h: whether Sentinels still name the master that is followed.
//
// Shape    a thread asks them every few seconds; one that cannot be reached says nothing, and ends nothing
// Threads  one of its own; members may be used from any
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/world.h"
#include "clients/redis/endpoint.h"

namespace holdfast::redis {

class MasterWatch {
public:
    MasterWatch(World& world, Endpoint sentinels, const Endpoint& master);
    ~MasterWatch();

    void now_followed(const Endpoint& master);
    std::string another() const;      // that they name; empty: none
    Nanoseconds known_until() const;  // it was the master then; 0: nobody has said so

private:
    void run() noexcept;
    void ask();

    World& world_;
    const Endpoint sentinels_;
    bool is_told_ = false;  // that none answers
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::string master_;
    std::string another_;
    Nanoseconds known_until_ = 0;
    bool is_over_ = false;
    std::jthread thread_;
};

}  // namespace holdfast::redis
