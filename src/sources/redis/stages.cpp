#include "sources/redis/stages.h"

#include <atomic>
#include <chrono>

#include "base/error.h"

namespace holdfast::redis {

namespace {
constexpr std::chrono::milliseconds between_looks{100};
}

void read_whole_rdb(World& world, const RdbInput::Read& read, RdbSink& sink) {
    RdbInput in(read);
    const RdbSummary summary = read_rdb(in, sink);
    if (!in.at_end()) throw Error{Code::corrupt, "bytes follow the end of the RDB data"};
    if (!summary.has_checksum)
        world.log.warning("the RDB data has no checksum (rdbchecksum no): damage on its way cannot be seen");
}

// What the store gets, and a look after each key whether a stage is full.
class Stages::Sink final : public RdbSink {
public:
    explicit Sink(Stages& stages) : stages_(stages), store_(stages.store_) {}
    void version(int number) override { store_.version(number); }
    void aux(const std::string& name, const std::string& value) override { store_.aux(name, value); }
    void function(ByteView raw) override { store_.function(raw); }
    void module_aux(ByteView raw) override { store_.module_aux(raw); }
    void begin_key(const RdbKey& key) override { store_.begin_key(key); }
    void value(ByteView raw) override { store_.value(raw); }
    void end_key(const RdbKey& key, const Value& value) override {
        store_.end_key(key, value);
        stages_.after_key();
    }

private:
    Stages& stages_;
    KeyStore& store_;
};

Stages::Stages(World& world, KeyStore& store, RdbInput::Read read, std::uint64_t stage_bytes)
    : world_(world), store_(store), read_(std::move(read)), stage_bytes_(stage_bytes), thread_([this] { run(); }) {}

Stages::~Stages() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Stages::run() {
    std::exception_ptr problem;
    try {
        Sink sink(*this);
        read_whole_rdb(
            world_,
            [this](MutableByteView into) {
                {
                    const std::lock_guard lock(mutex_);
                    if (is_over_) throw Error{Code::cancelled, "nobody reads the RDB data any more"};
                }
                return read_(into);
            },
            sink);
        hand_out(store_.take(nullptr));
    } catch (...) {
        problem = std::current_exception();
    }
    read_ = {};
    const std::lock_guard lock(mutex_);
    problem_ = problem;
    has_ended_ = true;
    changed_.notify_all();
}

void Stages::after_key() {
    if (store_.bytes() < stage_bytes_ || handed_out_ + 1 >= count_max || is_in_use_) return;
    std::unique_ptr<KeySpool> fresh;
    {
        const std::lock_guard lock(mutex_);
        fresh = std::move(spare_);
    }
    hand_out(store_.take(fresh ? std::move(fresh) : std::make_unique<KeySpool>(world_)));
}

// The last one waits until the one before it was taken.
void Stages::hand_out(std::unique_ptr<KeySpool> keys) {
    ++handed_out_;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_ || is_over_; });
    ready_ = std::move(keys);
    is_in_use_ = true;
    changed_.notify_all();
}

std::unique_ptr<KeySpool> Stages::next() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, between_looks, [&] { return ready_ || has_ended_; })) world_.stop.check();
    if (ready_) {
        changed_.notify_all();
        return std::move(ready_);
    }
    if (!problem_) return nullptr;
    Error error = as_error(problem_);
    error.add_notes(current_notes());
    throw error;
}

void Stages::release(std::unique_ptr<KeySpool> keys) {
    keys->clear(world_);
    const std::lock_guard lock(mutex_);
    spare_ = std::move(keys);
    is_in_use_ = false;
}

}  // namespace holdfast::redis
