// sources/redis/stages.h: an RDB that is read by a thread of its own, whose keys are handed out while more of them come.
//
// Shape    next() until it gives nothing; release() of a stage when its keys are not needed again
// Errors   those of reading, from next()
// Threads  next() from one; release() and what a stage holds from any
// Limits   two spools of about stage_bytes while stages are released as fast as they come
// I1  reading never waits for whoever takes: a stage grows while the one before is not released
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "sources/redis/key_store.h"
#include "sources/redis/rdb.h"

namespace holdfast::redis {

class Stages {
public:
    static constexpr std::size_t count_max = 8;  // layers that a capture makes of a bucket

    // `store` is the reading thread's until next() gave nothing.
    Stages(World& world, KeyStore& store, RdbInput::Read read, std::uint64_t stage_bytes);
    ~Stages();
    Stages(const Stages&) = delete;
    Stages& operator=(const Stages&) = delete;

    std::unique_ptr<KeySpool> next();
    void release(std::unique_ptr<KeySpool> keys);

private:
    class Sink;
    void run();
    void after_key();
    void hand_out(std::unique_ptr<KeySpool> keys);

    World& world_;
    KeyStore& store_;
    RdbInput::Read read_;
    const std::uint64_t stage_bytes_;
    std::size_t handed_out_ = 0;
    std::atomic<bool> is_in_use_{false};  // a stage waits, or was not released
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::unique_ptr<KeySpool> ready_;
    std::unique_ptr<KeySpool> spare_;
    bool has_ended_ = false;
    bool is_over_ = false;  // nobody wants more
    std::exception_ptr problem_;
    std::thread thread_;
};

// Up to the end: what an RDB that is read as a whole must be.
void read_whole_rdb(World& world, const RdbInput::Read& read, RdbSink& sink);

}  // namespace holdfast::redis
