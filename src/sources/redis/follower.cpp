#include "sources/redis/follower.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/discover.h"
#include "sources/redis/advice.h"
#include "sources/redis/capture.h"
#include "sources/redis/clock_watch.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"
#include "sources/redis/master_watch.h"
#include "sources/redis/replication.h"
#include "sources/redis/spool.h"

namespace holdfast::redis {

namespace {

constexpr Nanoseconds sample_every = one_second / 10;
constexpr Nanoseconds acknowledge_every = one_second;
constexpr Nanoseconds reconnect_max = 60 * one_second;
constexpr Nanoseconds slots_every = 2 * one_second;
constexpr Nanoseconds unknown_after = one_second;
constexpr Nanoseconds answer_max = 10 * one_second;
constexpr Nanoseconds silence_max = 60 * one_second;  // it sends a PING each 10 s (repl-ping-replica-period)
constexpr std::size_t piece_bytes = 4 * 1024 * 1024;
constexpr std::uint64_t stretch_bytes_max = 8 * 1024 * 1024;  // one command or transaction may be longer
constexpr std::size_t samples_max = 1'000'000;                // a day
constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::uint64_t spool_bytes_usual = std::uint64_t{16} << 30;
constexpr std::uint64_t warn_at_percent = 80;

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
    Nanoseconds answered = 0;
    Nanoseconds no_more_until = 0;  // it had no more than that then; 0: nobody knows
};

// Asks for it on a connection of its own; an account without INFO gets nothing, and so does who speaks to a server that
// has another history now.
class Sampler {
public:
    Sampler(World& world, const Endpoint& endpoint, const Slots& slots)
        : world_(world), endpoint_(endpoint), slots_(slots) {}

    bool is_awaited() const { return asked_ != 0; }

    // Does not wait: the stream must not.
    void ask() {
        if (is_awaited() || world_.clock.steady() < again_at_) return;
        guarded([&] { send(); });
    }
    std::optional<Sample> answer(const std::string& line) {
        std::optional<Sample> out;
        if (is_awaited())
            guarded([&] {
                if (connection_->has_input())
                    out = take(line);
                else if (world_.clock.now() - asked_ > answer_max)
                    throw Error{Code::source_failed, "no answer to INFO"};
            });
        return out;
    }

    std::optional<Sample> ask_and_wait(const std::string& line) {
        send();
        return take(line);
    }

private:
    void guarded(const std::function<void()>& work) {
        try {
            work();
        } catch (const Error& error) {
            if (error.code() != Code::source_failed) throw;
            connection_.reset();
            asked_ = 0;
            again_at_ = world_.clock.steady() + one_second;
        }
    }

    void send() {
        if (!connection_) connection_ = std::make_unique<Connection>(world_, endpoint_, Code::source_failed);
        asked_ = world_.clock.now();
        connection_->put({"INFO", "replication"});
        asked_for_slots_ = slots_.any() && world_.clock.steady() >= slots_at_;
        if (asked_for_slots_) connection_->put({"CLUSTER", "SLOTS"});
        connection_->flush();
    }

    std::optional<Sample> take(const std::string& line) {
        const Reply got = connection_->reply();
        if (std::exchange(asked_for_slots_, false)) look_at_slots(connection_->reply());
        const Nanoseconds asked = std::exchange(asked_, 0);
        const std::string offset = info_value(got.text, "master_repl_offset");
        if (got.is_error() || offset.empty() || info_value(got.text, "master_replid") != line) return std::nullopt;
        return Sample{number_of(offset), world_.clock.now(), no_more_until(got.text, asked)};
    }

    // What went to a master that is not followed would be in no journal.
    void look_at_slots(const Reply& slots) {
        slots_at_ = world_.clock.steady() + slots_every;
        if (slots.is_error()) return;
        const Slots moved = moved_between({Shard{{}, {}, slots_}}, shards_in(slots, endpoint_));
        if (moved.none()) return;
        throw Error{Code::failed, "slots of the master at {} went to another one: {}", endpoint_.place(),
                    to_text(moved)}
            .unharmed("what was followed up to here is stored")
            .hint("Follow the cluster again, so that all masters that it has now are followed.");
    }

    // A replica knows it up to when its master spoke last, in whole seconds.
    static Nanoseconds no_more_until(std::string_view info, Nanoseconds asked) {
        if (info_value(info, "role") == "master") return asked;
        if (info_value(info, "master_link_status") != "up") return 0;
        const auto silent = static_cast<Nanoseconds>(number_of(info_value(info, "master_last_io_seconds_ago")));
        return asked - (silent + 1) * one_second;
    }

    World& world_;
    const Endpoint endpoint_;
    const Slots slots_;  // that a cluster's master is to keep
    Nanoseconds slots_at_ = 0;
    bool asked_for_slots_ = false;
    std::unique_ptr<Connection> connection_;
    Nanoseconds asked_ = 0;     // wall; 0: no answer is due
    Nanoseconds again_at_ = 0;  // steady
};

class RedisFollower final : public Follower {
public:
    RedisFollower(const FollowRequest& request, const CaptureOptions& options)
        : world_(request.world),
          options_(options),
          once_(request.once),
          master_(discover(request.world, options.endpoint, false, Code::source_failed)),
          endpoint_(server_to_follow(master_, options.prefer_replica)),
          spool_(request.world),
          clock_watch_(request.world.clock) {
        sampler_.emplace(world_, endpoint_, options_.slots);
        refuse_relative_times();
        advise();
        SyncRequest sync;
        const bool lies_before = request.from && !lies_ahead(world_.clock, request.from->time);
        if (lies_before) sync.from = request.from->position;
        replication_ = std::make_unique<Replication>(world_, endpoint_, sync);
        start_.continues = replication_->continues();
        start_.why_not = request.from && !lies_before ? dated_ahead : replication_->why_not();
        start_.at = {replication_->position(), replication_->answered()};
        if (start_.continues) start_.at.time = request.from->time;
        line_ = start_.at.position.line;
        received_ = boundary_.at = cut_ = spool_base_ = start_.at.position.at;
        spool_max_ =
            options.spool_bytes_max != 0 ? options.spool_bytes_max : std::min(spool_bytes_usual, spool_.room() / 2);
        known_until_ = start_.at.time;
        if (start_.continues) dark_from_ = known_until_;
        taken_ = start_.at.position.at;
        if (start_.continues) safe_ = taken_;  // a new base is not stored yet
        last_ = start_.at;
        if (once_) goal_ = ask_for_goal();
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
        describe_server(world_, origin, asked, options_);
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
        Nanoseconds dark_from = 0;        // or: since then nobody knows when what follows was made
        bool is_mark() const { return line || dark_from != 0; }
    };

    Endpoint server_to_follow(const Endpoint& master, bool prefers_replica) {
        return prefers_replica ? discover(world_, master, true, Code::source_failed) : master;
    }

    std::uint64_t ask_for_goal() {
        if (const auto sample = sampler_->ask_and_wait(line_)) return sample->offset;
        if (!start_.continues) return start_.at.position.at;
        throw Error{Code::source_failed, "the server at {} does not say how far its changes go", endpoint_.place()}
            .hint("The account needs +info.");
    }

    // "EXPIRE key 10" says nothing once its moment is gone.
    void refuse_relative_times() {
        Connection asked(world_, endpoint_, Code::source_failed);
        const std::string version = info_value(asked.try_ask({"INFO", "server"}).text, "redis_version");
        if (version.empty() || number_of(version) >= 7) return;
        throw Error{Code::source_failed, "the stream of the server at {}, of version {}, has relative times to live",
                    endpoint_.place(), version}
            .hint("Servers of 7.0 and newer can be followed; this one can be backed up.");
    }

    void advise() {
        try {
            Connection asked(world_, endpoint_, Code::source_failed);
            for (const Observation& each : advice_for_following(settings_of(asked))) world_.log.warning(each.text);
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
        if (!options_.endpoint.sentinel.empty() && !once_) master_watch_.emplace(world_, options_.endpoint, master_);
        sampled_at_ = heard_at_ = world_.clock.steady();
        {
            const std::lock_guard lock(mutex_);
            cuts_.push_back({{cut_, cut_, 0, last_.time}, 0, line_, 0});
        }
        reader_ = std::jthread([this] { run(); });
    }

    bool is_at_goal() const { return once_ && cuts_.empty() && cut_ >= goal_; }

    void run() noexcept {
        try {
            replication_->acknowledge(start_.continues ? start_.at.position.at : 0);  // the server waits for the first
            while (!stopping_ && !world_.stop.requested() && !is_broken_) {
                try {
                    step();
                } catch (const Error& error) {
                    if (error.code() == Code::no_space)
                        wait_for_room(error);
                    else if (error.code() != Code::source_failed)
                        throw;
                    if (is_broken_ || !reconnect(error)) break;
                }
            }
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
        }
        changed_.notify_all();
    }

    // Whole commands: one that has not all come does not count, however long it is.
    std::uint64_t unstored() {
        const std::lock_guard lock(mutex_);
        return boundary_.at - std::max(safe_, spool_base_);
    }

    void look_at_spool() {
        const std::uint64_t used = unstored();
        if (used >= spool_max_)
            throw Error{Code::no_space, "the spool is full of {} of changes that are not stored yet",
                        human_bytes(used)};
        const std::uint64_t percent = used / (spool_max_ / 100 + 1);
        if (percent >= warn_at_percent && !std::exchange(is_warned_, true))
            world_.log.warning(fmt::format(
                "the spool of {} is at {} % of {}: the repository does not keep up, or is away; when it is full, the "
                "server is left until there is room",
                options_.source, percent, human_bytes(spool_max_)));
        if (percent < warn_at_percent / 2) is_warned_ = false;
    }

    // The server keeps nothing for who is not connected, but its backlog.
    void wait_for_room(const Error& why) {
        replication_.reset();
        world_.log.warning(
            fmt::format("{}: {}; the server is left until half of it is stored", options_.source, why.message()));
        samples_.clear();
        add_sample({boundary_.at, world_.clock.now(), 0});
        if (is_broken_) return;
        cut_where_due();
        const std::uint64_t most = unstored();
        do {
            world_.clock.sleep(one_second / 2);
        } while (!stopping_ && !world_.stop.requested() && unstored() > most / 2);
    }

    // The old master may go on for long as if nothing had happened.
    void look_at_master() {
        if (!master_watch_) return;
        if (const std::string another = master_watch_->another(); !another.empty())
            throw Error{Code::source_failed, "the master is {} now, as Sentinels say", another};
    }

    void step() {
        look_at_spool();
        look_at_master();
        acknowledge_if_due();
        sample_if_due();
        buffer_.resize(read_bytes);
        const Nanoseconds wait = sample_every / (sampler_->is_awaited() ? 20 : 4);
        const std::size_t got = replication_->read_stream(buffer_, wait);
        if (got > 0) take(ByteView(buffer_).first(got));
        cut_where_due();
        if (world_.clock.steady() - heard_at_ > silence_max)
            throw Error{Code::source_failed, "the server at {} has said nothing for {}", endpoint_.place(),
                        human_duration(silence_max)};
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
        if (const auto sample = sampler_->answer(line_)) {
            add_sample(*sample);
            sampled_at_ = now;
            if (sample->offset <= received_) heard_at_ = now;
        }
        if (now < sample_at_) return;
        sample_at_ = now + sample_every;
        sampler_->ask();
        // By what has come: later than it was made, never earlier. That there is no more nobody has said.
        if (now - sampled_at_ > unknown_after) add_sample({received_, world_.clock.now(), 0});
    }

    // A replay ends at the first stretch that is dated after what is wanted: none may be dated before another.
    void add_sample(const Sample& sample) {
        const Nanoseconds step = clock_watch_.step();
        if (step == 0) {
            samples_.push_back(sample);
        } else if (step > 0) {
            world_.log.warning(fmt::format("{}: {}", options_.source, clock_was_set(step)));
            samples_.clear();
            if (dark_from_ == 0) dark_from_ = known_until_;
        } else {
            const std::lock_guard lock(mutex_);
            is_broken_ = true;
            broken_because_ = clock_was_set(step);
        }
    }

    // Where a stretch may end.
    struct Place {
        std::uint64_t at = 0;
        std::uint64_t commands = 0;
        std::uint32_t database = StreamState::unknown_database;
    };

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
            boundary_ = {place, commands_, state_.database};
            if (place - (places_.empty() ? cut_ : places_.back().at) >= stretch_bytes_max) places_.push_back(boundary_);
        });
        received_ = began + bytes.size();
        heard_at_ = world_.clock.steady();
    }

    void cut_where_due() {
        while (!samples_.empty() && samples_.front().offset <= boundary_.at) cut_at_sample();
        // What the server says it did may never come when it has another master now.
        while (samples_.size() > samples_max) samples_.pop_front();
    }

    void cut_at_sample() {
        const Sample sample = samples_.front();
        samples_.pop_front();
        const std::lock_guard lock(mutex_);
        if (boundary_.at > cut_) {
            if (dark_from_ != 0) cuts_.push_back({{cut_, cut_, 0, 0}, 0, {}, std::exchange(dark_from_, 0)});
            known_until_ = std::max(known_until_, sample.answered);
            for (; !places_.empty(); places_.pop_front()) cut_at(places_.front(), known_until_);
            cut_at(boundary_, known_until_);
        } else if (cuts_.empty() && sample.offset <= cut_) {
            const Nanoseconds no_more_until =
                master_watch_ ? std::min(sample.no_more_until, master_watch_->known_until()) : sample.no_more_until;
            quiet_until_ = std::max(quiet_until_, no_more_until);
            known_until_ = std::max(known_until_, no_more_until);
            if (no_more_until > dark_from_) dark_from_ = 0;  // nothing happened meanwhile
        }
        changed_.notify_all();
    }

    void cut_at(const Place& place, Nanoseconds time) {
        if (place.at <= cut_) return;
        cuts_.push_back({{cut_, place.at, cut_database_, time}, place.commands - cut_commands_, {}, 0});
        cut_ = place.at;
        cut_commands_ = place.commands;
        cut_database_ = place.database;
    }

    // The same history goes on where we are, or it is lost.
    bool reconnect(const Error& why) {
        world_.log.warning(fmt::format("the stream of changes was interrupted: {}", why.message()));
        const Nanoseconds give_up = world_.clock.steady() + reconnect_max;
        bool prefers_replica = options_.prefer_replica;
        while (!stopping_ && !world_.stop.requested()) {
            try {
                const Endpoint master = discover(world_, options_.endpoint, false, Code::source_failed);
                const Endpoint endpoint = server_to_follow(master, prefers_replica);
                replication_ =
                    std::make_unique<Replication>(world_, endpoint, SyncRequest{.from = Position{line_, received_}});
                sampler_.emplace(world_, endpoint, options_.slots);
                if (master_watch_) master_watch_->now_followed(master);
                // Another replica may not be as far as this follower; its master is.
                if (replication_->continues() || !std::exchange(prefers_replica, false)) break;
            } catch (const Error& error) {
                if (error.code() != Code::source_failed) throw;
                if (world_.clock.steady() > give_up) throw;
                world_.clock.sleep(one_second / 2);
            }
        }
        if (stopping_ || world_.stop.requested()) return false;
        const std::lock_guard lock(mutex_);
        samples_.clear();
        if (dark_from_ == 0) dark_from_ = known_until_;
        heard_at_ = world_.clock.steady();
        if (!replication_->continues()) {
            is_broken_ = true;
            broken_because_ = replication_->why_not();
            return false;
        }
        if (replication_->position().line != line_) {
            line_ = replication_->position().line;
            cuts_.push_back({{cut_, cut_, cut_database_, last_.time}, 0, line_, 0});
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
            } else if (cut.dark_from != 0) {
                append_dark(into.bytes, cut.dark_from);
                told_dark_from_ = cut.dark_from;
            } else {
                if (told_dark_from_ != 0) into.pauses.push_back({std::exchange(told_dark_from_, 0), cut.stretch.time});
                if (taken_ == cut.stretch.begin) append_stretch(into.bytes, cut.stretch);
                const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(
                    cut.stretch.end - taken_, piece_bytes - std::min(into.bytes.size(), piece_bytes - 1)));
                const std::size_t at = into.bytes.size();
                into.bytes.resize(at + some);
                spool_.read(taken_ - spool_base_, MutableByteView(into.bytes).subspan(at));
                taken_ += some;
            }
            lock.lock();
            if (!cut.is_mark() && taken_ < cut.stretch.end) break;
            cuts_.pop_front();
            if (cut.is_mark()) continue;
            into.records += cut.commands;
            last_.position.at = cut.stretch.end;
            last_.time = std::max(last_.time, cut.stretch.time);
        }
        into.last = last_;
        into.ends_within_record = !cuts_.empty() && taken_ > cuts_.front().stretch.begin && !cuts_.front().is_mark();
    }

    World& world_;
    const CaptureOptions options_;
    const bool once_;
    const Endpoint master_;
    const Endpoint endpoint_;  // the master, or a replica of it
    std::optional<MasterWatch> master_watch_;
    std::optional<Sampler> sampler_;
    Spool spool_;
    ClockWatch clock_watch_;
    std::unique_ptr<Replication> replication_;
    Start start_;
    std::uint64_t goal_ = 0;
    bool is_reading_ = false;
    Moment last_;               // of what read() gave
    std::uint64_t taken_ = 0;   // up to here it gave bytes
    std::uint64_t spool_base_;  // offset of the spool's first byte
    std::uint64_t spool_max_ = 0;
    Nanoseconds told_dark_from_ = 0;
    std::string broken_because_;

    // of the thread
    Bytes buffer_;
    CommandScanner scanner_;
    StreamState state_;
    std::deque<Sample> samples_;
    std::string line_;
    std::uint64_t received_ = 0;
    std::uint64_t commands_ = 0;
    bool is_warned_ = false;
    Place boundary_;
    std::deque<Place> places_;     // before boundary_, so that no stretch is too long
    Nanoseconds known_until_ = 0;  // what the server did until then has a time
    Nanoseconds dark_from_ = 0;    // and this is after a pause, of which is nothing known yet
    std::uint64_t cut_commands_ = 0;
    std::uint32_t cut_database_ = StreamState::unknown_database;
    Nanoseconds acknowledge_at_ = 0;
    std::uint64_t awaited_ = 0;  // somebody asked (WAIT) whether all up to here is safe; 0: nobody
    Nanoseconds sample_at_ = 0;
    Nanoseconds sampled_at_ = 0;  // steady, as the next
    Nanoseconds heard_at_ = 0;

    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    // guarded by mutex_
    std::deque<Cut> cuts_;
    std::uint64_t cut_ = 0;
    std::uint64_t safe_ = 0;
    Nanoseconds quiet_until_ = 0;
    bool is_broken_ = false;  // written by the thread only
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
