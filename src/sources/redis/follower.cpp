#include "sources/redis/follower.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/discover.h"
#include "sources/redis/advice.h"
#include "sources/redis/capture.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"
#include "sources/redis/replication.h"
#include "sources/redis/spool.h"

namespace holdfast::redis {

namespace {

constexpr Nanoseconds sample_every = one_second / 10;
constexpr Nanoseconds acknowledge_every = one_second;
constexpr Nanoseconds reconnect_max = 60 * one_second;
constexpr std::size_t piece_bytes = 4 * 1024 * 1024;
constexpr std::size_t samples_max = 1'000'000;  // a day
constexpr std::size_t read_bytes = 256 * 1024;

std::uint64_t number_of(const std::string& text) {
    std::uint64_t out = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') break;
        out = out * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return out;
}

// What the server had done at a moment.
struct Sample {
    std::uint64_t offset = 0;
    Nanoseconds asked = 0;
    Nanoseconds answered = 0;
};

// Asks for it on a connection of its own; an account without INFO gives none.
class Sampler {
public:
    Sampler(World& world, const Endpoint& endpoint) : world_(world), endpoint_(endpoint) {}
    std::optional<Sample> take() {
        try {
            if (!connection_) connection_ = std::make_unique<Connection>(world_, endpoint_, Code::source_failed);
            Sample out;
            out.asked = world_.clock.now();
            const Reply got = connection_->try_ask({"INFO", "replication"});
            out.answered = world_.clock.now();
            const std::string offset = info_value(got.text, "master_repl_offset");
            if (got.is_error() || offset.empty()) return std::nullopt;
            out.offset = number_of(offset);
            return out;
        } catch (const Error& error) {
            if (error.code() != Code::source_failed) throw;
            connection_.reset();
            return std::nullopt;
        }
    }

private:
    World& world_;
    const Endpoint endpoint_;
    std::unique_ptr<Connection> connection_;
};

class RedisFollower final : public Follower {
public:
    RedisFollower(const FollowRequest& request, const CaptureOptions& options)
        : world_(request.world),
          options_(options),
          once_(request.once),
          endpoint_(discover(request.world, options.endpoint, options.prefer_replica, Code::source_failed)),
          spool_(request.world) {
        sampler_.emplace(world_, endpoint_);
        advise();
        SyncRequest sync;
        if (request.from) sync.from = request.from->position;
        replication_ = std::make_unique<Replication>(world_, endpoint_, sync);
        start_.continues = replication_->continues();
        start_.why_not = replication_->why_not();
        start_.at = {replication_->position(), replication_->answered()};
        if (start_.continues) start_.at.time = request.from->time;
        line_ = start_.at.position.line;
        received_ = boundary_ = cut_ = spool_base_ = start_.at.position.at;
        taken_ = start_.at.position.at;
        if (start_.continues) safe_ = taken_;  // a new base is not stored yet
        last_ = start_.at;
        if (once_) {
            const auto goal = sampler_->take();
            goal_ = goal ? goal->offset : 0;
        }
        if (start_.continues) begin_reading();
    }

    ~RedisFollower() override {
        stopping_ = true;
        if (reader_.joinable()) reader_.join();
    }

    const Start& start() const override { return start_; }

    std::unique_ptr<Capture> base() override {
        if (start_.continues || is_reading_) return nullptr;
        RdbOrigin origin{options_.source, options_.endpoint.shown()};
        Connection asked(world_, endpoint_, Code::source_failed);
        describe_server(origin, asked, options_.with_settings);
        origin.moment = start_.at;
        auto out = capture_of(world_, std::move(origin), [&](MutableByteView into) { return read_rdb(into); });
        begin_reading();
        return out;
    }

    Came read(JournalPiece& into, Nanoseconds wait) override {
        into = {};
        if (!is_reading_) base();  // nobody wants it, but it comes first
        std::unique_lock lock(mutex_);
        const Nanoseconds until = world_.clock.steady() + wait;
        while (cuts_.empty() && !failure_ && !is_broken_ && !is_at_goal()) {
            world_.stop.check();
            const Nanoseconds left = until - world_.clock.steady();
            if (left <= 0) break;
            changed_.wait_for(lock, std::chrono::nanoseconds(std::min<Nanoseconds>(left, one_second / 5)));
        }
        if (!cuts_.empty()) {
            fill(into, lock);
            return Came::piece;
        }
        if (failure_) std::rethrow_exception(failure_);
        if (is_broken_) return Came::broken;
        if (is_at_goal()) return Came::end;
        if (quiet_until_ <= last_.time) return Came::idle;
        last_.time = quiet_until_;
        into.last = last_;
        return Came::piece;
    }

    void durable(const Position& position) override {
        const std::lock_guard lock(mutex_);
        safe_ = std::max(safe_, std::min(position.at, taken_));
        if (safe_ > spool_base_) spool_.forget_before(safe_ - spool_base_);
    }

    std::string broken_because() const override { return broken_because_; }

private:
    struct Cut {
        Stretch stretch;
        std::uint64_t commands = 0;
        std::optional<std::string> line;  // a new name of the history, from here on
    };

    void advise() {
        try {
            Connection asked(world_, endpoint_, Code::source_failed);
            for (const std::string& line : advice_for_following(settings_of(asked))) world_.log.warning(line);
        } catch (const Error& error) {
            if (error.code() != Code::source_failed) throw;
        }
    }

    // The transfer may take long; meanwhile the times of what changes are noted.
    std::size_t read_rdb(MutableByteView into) {
        sample_if_due();
        return replication_->read_rdb(into);
    }

    void begin_reading() {
        is_reading_ = true;
        {
            const std::lock_guard lock(mutex_);
            cuts_.push_back({{cut_, cut_, 0, last_.time}, 0, line_});
        }
        reader_ = std::jthread([this] { run(); });
    }

    bool is_at_goal() const { return once_ && cuts_.empty() && cut_ >= goal_; }

    void run() noexcept {
        try {
            replication_->acknowledge(start_.continues ? start_.at.position.at : 0);  // the server waits for the first
            while (!stopping_ && !world_.stop.requested()) {
                try {
                    step();
                } catch (const Error& error) {
                    if (error.code() != Code::source_failed) throw;
                    if (!reconnect(error)) break;
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
        }
        changed_.notify_all();
    }

    void step() {
        acknowledge_if_due();
        sample_if_due();
        buffer_.resize(read_bytes);
        const std::size_t got = replication_->read_stream(buffer_, sample_every / 4);
        if (got > 0) take(ByteView(buffer_).first(got));
        cut_where_due();
    }

    void acknowledge_if_due() {
        std::uint64_t safe = 0;
        {
            const std::lock_guard lock(mutex_);
            safe = safe_;
        }
        const Nanoseconds now = world_.clock.steady();
        const bool is_awaited = awaited_ != 0 && safe >= awaited_;
        if (now < acknowledge_at_ && !is_awaited) return;
        if (is_awaited) awaited_ = 0;
        acknowledge_at_ = now + acknowledge_every;
        replication_->acknowledge(safe);
    }

    void sample_if_due() {
        const Nanoseconds now = world_.clock.steady();
        if (now < sample_at_) return;
        sample_at_ = now + sample_every;
        if (auto sample = sampler_->take()) {
            samples_.push_back(*sample);
        } else {
            // By what has come: later than it was made, never earlier.
            const Nanoseconds wall = world_.clock.now();
            samples_.push_back({received_, wall, wall});
        }
    }

    // Whole commands outside of transactions end at boundary_.
    void take(ByteView bytes) {
        spool_.append(bytes);
        const std::uint64_t began = received_;
        scanner_.feed(bytes, [&](const Command& command, std::size_t end) {
            state_.pass(command);
            if (command.name == "REPLCONF") awaited_ = began + end;
            ++commands_;
            if (state_.in_transaction()) return;
            const std::uint64_t place = began + end;
            while (!samples_.empty() && samples_.front().offset < place) cut_at_sample();
            boundary_ = place;
            boundary_commands_ = commands_;
            boundary_database_ = state_.database;
        });
        received_ = began + bytes.size();
    }

    void cut_where_due() {
        while (!samples_.empty() && samples_.front().offset <= boundary_) cut_at_sample();
        // What the server says it did may never come when it has another master now.
        while (samples_.size() > samples_max) samples_.pop_front();
    }

    void cut_at_sample() {
        const Sample sample = samples_.front();
        samples_.pop_front();
        const std::lock_guard lock(mutex_);
        if (boundary_ > cut_) {
            cuts_.push_back(
                {{cut_, boundary_, cut_database_, sample.answered}, boundary_commands_ - cut_commands_, {}});
            cut_ = boundary_;
            cut_commands_ = boundary_commands_;
            cut_database_ = boundary_database_;
        } else if (cuts_.empty() && sample.offset <= cut_) {
            quiet_until_ = std::max(quiet_until_, sample.asked);
        }
        changed_.notify_all();
    }

    // The same history goes on where we are, or it is lost.
    bool reconnect(const Error& why) {
        world_.log.warning(fmt::format("the stream of changes was interrupted: {}", why.message()));
        const Nanoseconds give_up = world_.clock.steady() + reconnect_max;
        while (!stopping_ && !world_.stop.requested()) {
            try {
                const Endpoint endpoint =
                    discover(world_, options_.endpoint, options_.prefer_replica, Code::source_failed);
                replication_ =
                    std::make_unique<Replication>(world_, endpoint, SyncRequest{.from = Position{line_, received_}});
                sampler_.emplace(world_, endpoint);
                break;
            } catch (const Error& error) {
                if (error.code() != Code::source_failed) throw;
                if (world_.clock.steady() > give_up) throw;
                world_.clock.sleep(one_second / 2);
            }
        }
        if (stopping_ || world_.stop.requested()) return false;
        const std::lock_guard lock(mutex_);
        samples_.clear();
        if (!replication_->continues()) {
            is_broken_ = true;
            broken_because_ = replication_->why_not();
            return false;
        }
        if (replication_->position().line != line_) {
            line_ = replication_->position().line;
            cuts_.push_back({{cut_, cut_, cut_database_, last_.time}, 0, line_});
        }
        world_.log.info("the stream of changes goes on without a gap");
        return true;
    }

    // Pieces of some MiB; a stretch may go over several.
    void fill(JournalPiece& into, std::unique_lock<std::mutex>& lock) {
        while (!cuts_.empty() && into.bytes.size() < piece_bytes) {
            const Cut cut = cuts_.front();
            lock.unlock();
            if (cut.line) {
                append_line(into.bytes, *cut.line);
                last_.position.line = *cut.line;
            } else {
                if (taken_ == cut.stretch.begin) append_stretch(into.bytes, cut.stretch);
                const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(
                    cut.stretch.end - taken_, piece_bytes - std::min(into.bytes.size(), piece_bytes - 1)));
                const std::size_t at = into.bytes.size();
                into.bytes.resize(at + some);
                spool_.read(taken_ - spool_base_, MutableByteView(into.bytes).subspan(at));
                taken_ += some;
            }
            lock.lock();
            if (!cut.line && taken_ < cut.stretch.end) break;
            cuts_.pop_front();
            if (cut.line) continue;
            into.records += cut.commands;
            last_.position.at = cut.stretch.end;
            last_.time = std::max(last_.time, cut.stretch.time);
        }
        into.last = last_;
        into.ends_within_record = !cuts_.empty() && taken_ > cuts_.front().stretch.begin && !cuts_.front().line;
    }

    World& world_;
    const CaptureOptions options_;
    const bool once_;
    const Endpoint endpoint_;
    std::optional<Sampler> sampler_;
    Spool spool_;
    std::unique_ptr<Replication> replication_;
    Start start_;
    std::uint64_t goal_ = 0;
    bool is_reading_ = false;
    Moment last_;               // of what read() gave
    std::uint64_t taken_ = 0;   // up to here it gave bytes
    std::uint64_t spool_base_;  // offset of the spool's first byte
    std::string broken_because_;

    // of the thread
    Bytes buffer_;
    CommandScanner scanner_;
    StreamState state_;
    std::deque<Sample> samples_;
    std::string line_;
    std::uint64_t received_ = 0;
    std::uint64_t commands_ = 0;
    std::uint64_t boundary_ = 0;
    std::uint64_t boundary_commands_ = 0;
    std::uint32_t boundary_database_ = StreamState::unknown_database;
    std::uint64_t cut_commands_ = 0;
    std::uint32_t cut_database_ = StreamState::unknown_database;
    Nanoseconds acknowledge_at_ = 0;
    std::uint64_t awaited_ = 0;  // somebody asked (WAIT) whether all up to here is safe; 0: nobody
    Nanoseconds sample_at_ = 0;

    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::deque<Cut> cuts_;
    std::uint64_t cut_ = 0;
    std::uint64_t safe_ = 0;
    Nanoseconds quiet_until_ = 0;
    bool is_broken_ = false;
    std::exception_ptr failure_;
    std::jthread reader_;
};

}  // namespace

std::unique_ptr<Follower> follow(const FollowRequest& request, const CaptureOptions& options) {
    if (options.endpoint.database)
        throw Error{Code::config, "the changes of a Redis server are followed as a whole, not those of database {}",
                    *options.endpoint.database}
            .hint("Leave the database out of its address.");
    return std::make_unique<RedisFollower>(request, options);
}

}  // namespace holdfast::redis
