#include "engine/follow.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "base/error.h"
#include "base/stopped.h"
#include "engine/back_up.h"
#include "engine/windows.h"
#include "repo/segment_pack.h"
#include "store/decorator.h"

namespace holdfast::engine {

namespace {

constexpr int reads_to_base_max = 10;
constexpr std::size_t pauses_max = 100;  // of a segment; what is between further ones counts as one of them

// The content that comes with a log.
class BaseOf final : public Source {
public:
    BaseOf(Source& source, std::unique_ptr<Capture> capture) : source_(source), capture_(std::move(capture)) {}
    std::string name() const override { return source_.name(); }
    std::string kind() const override { return source_.kind(); }
    std::vector<std::string> describe() const override { return source_.describe(); }
    std::unique_ptr<Capture> begin(const CaptureRequest&) override { return std::move(capture_); }

private:
    Source& source_;
    std::unique_ptr<Capture> capture_;
};

// A base that is taken while its source is followed.
class BaseOnTheSide {
public:
    ~BaseOnTheSide() {
        if (thread_.joinable()) thread_.join();
    }
    void start(std::function<repo::Snapshot()> work) {
        done_ = false;
        thread_ = std::thread([this, work = std::move(work)] {
            try {
                snapshot_ = work();
            } catch (...) {
                failure_ = std::current_exception();
            }
            done_ = true;
        });
    }
    bool running() const { return thread_.joinable(); }
    bool done() const { return done_; }
    repo::Snapshot take() {
        thread_.join();
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
        return std::move(*snapshot_);
    }

private:
    std::thread thread_;
    std::atomic<bool> done_{false};
    std::exception_ptr failure_;
    std::optional<repo::Snapshot> snapshot_;
};

class Following {
public:
    Following(Source& source, repo::Repository& repository, World& world, const FollowPlan& plan,
              const FollowEvents& events, Progress& progress)
        : source_(source),
          repository_(repository),
          world_(world),
          plan_(plan),
          events_(events),
          progress_(progress),
          writer_(repository, source.name()),
          compacted_(world_.clock.steady()) {}

    FollowReport run() {
        const Nanoseconds began = world_.clock.steady();
        try {
            while (!stretch()) {
            }
        } catch (...) {
            close();
            if (base_.running()) repository_.world().stop.request();  // or it would be waited for
            throw;
        }
        close();
        report_.seconds = static_cast<double>(world_.clock.steady() - began) / one_second;
        return report_;
    }

private:
    // From one connection to the source until it ends. True: nothing more is to come.
    bool stretch() {
        try {
            writer_.settle();
            const auto follower = source_.follow({world_, writer_.last(), plan_.once});
            if (!follower)
                throw Error{Code::usage, "{} is of kind {}, which cannot be followed", source_.name(), source_.kind()};
            begin(*follower);
            const End end = read(*follower);
            if (end == End::broken)
                world_.log.warning(fmt::format("{}: {}", source_.name(), follower->broken_because()));
            return end == End::all;
        } catch (const Error& error) {
            if (plan_.once || !began_ || !may_pass(error) || world_.stop.requested()) throw;
            tell(error, wait_);
            wait(world_, wait_);
            wait_ = std::min(wait_ * 2, plan_.wait_max);
            return false;
        }
    }

    void begin(Follower& follower) {
        const Follower::Start& start = follower.start();
        writer_.begin(
            {.continues = start.continues, .at = start.at, .why = start.why_not, .take_over = plan_.take_over});
        began_ = true;
        if (!start.continues) {
            ++run_;
            has_base_ = false;
            newest_base_.reset();
            run_start_ = start.at;
        } else if (run_ == 0 && !base_.running()) {
            has_base_ = has_base_ || newest_run_has_base();
            if (const auto runs = writer_.journal().runs(); !runs.empty()) run_start_ = runs.back().from;
        }
        pending_ = {};
        stored_to_.reset();
        if (has_base_) stored_to_ = start.at;
        run_began_at_ = start.at;
        stored_at_ = world_.clock.steady();
        if (events_.began) events_.began(start);
        if (has_base_ || base_.running() || base_due_) return;
        if (auto capture = follower.base())
            start_base(std::make_shared<BaseOf>(source_, std::move(capture)));
        else
            start_base();
    }

    BackupPlan base_plan() const { return {.tags = plan_.tags, .host = plan_.host, .domain = plan_.domain}; }

    // Of what came with the log, or else of the source as it is then.
    void start_base(const std::shared_ptr<Source>& brought = nullptr) {
        base_due_.reset();
        base_run_ = run_;
        base_.start([this, brought] {
            return back_up(brought ? *brought : source_, repository_, base_plan(), base_progress_).snapshot;
        });
    }

    // As the journal was when this began.
    bool newest_run_has_base() {
        const auto windows = windows_of(writer_.journal(), repository_.snapshots());
        return !windows.empty() && windows.back().newest;
    }

    // Its failure does not end the following: what comes meanwhile is stored, and it is tried again.
    void look_after_base() {
        if (base_.running() && base_.done()) {
            try {
                add_base(base_.take());
                if (has_base_) base_wait_ = one_second;
            } catch (const Error& error) {
                if (plan_.once || !may_pass(error) || world_.stop.requested()) throw;
                tell(error, base_wait_);
                base_due_ = world_.clock.steady() + base_wait_;
                base_wait_ = std::min(base_wait_ * 2, plan_.wait_max);
            }
        }
        if (base_due_ && !base_.running() && world_.clock.steady() >= *base_due_) start_base();
    }

    static bool is_of_store(const Error& error) {
        return error.code() == Code::unreachable || error.code() == Code::no_space;
    }
    static bool may_pass(const Error& error) { return error.code() == Code::source_failed || is_of_store(error); }
    void tell(const Error& error, Nanoseconds wait) const {
        if (events_.trouble) events_.trouble(error, wait);
    }

    // How reading from one connection ended.
    enum class End : std::uint8_t { all, broken, short_of_base };

    End read(Follower& follower) {
        while (true) {
            world_.stop.check();
            look_after_base();
            count_stored(follower);
            JournalPiece piece;
            const Follower::Came came = follower.read(piece, std::min(plan_.flush_every, one_second));
            wait_ = one_second;
            if (came == Follower::Came::piece) add(piece);
            if (events_.idle && has_base_ && pending_.last && pending_.bytes.empty()) events_.idle(*pending_.last);
            if (is_due() || came == Follower::Came::end || came == Follower::Came::broken) store(follower);
            if (came == Follower::Came::broken) return End::broken;
            if (came == Follower::Came::end) {
                if (base_.running()) add_base(base_.take());
                if (base_due_) {
                    wait(world_, std::max<Nanoseconds>(*base_due_ - world_.clock.steady(), 0));
                    start_base();
                    add_base(base_.take());
                }
                count_stored(follower);
                return end_once();
            }
            compact_if_due();
        }
    }

    // What was written while its base was taken belongs to a window, too: without it the base lies behind its journal.
    End end_once() {
        if (!has_base_)
            throw Error{Code::source_failed, "the base of {} is of before its journal began", source_.name()}.hint(
                "A member that lags behind gave it: read from another one, or try again.");
        const auto end = writer_.last();
        const bool is_short = newest_base_ && end && end->position.at < newest_base_->position.at;
        if (!is_short) return End::all;
        if (++reads_to_base_ > reads_to_base_max)
            throw Error{Code::source_failed, "the log of {} does not come to where its base was taken", source_.name()}
                .hint("The member that is followed lags behind: try again.");
        if (reads_to_base_ > 1) wait(world_, one_second);
        return End::short_of_base;
    }

    struct Pending {
        Bytes bytes;
        std::optional<Moment> last;
        std::uint64_t records = 0;
        bool open = false;
        std::vector<Pause> pauses;
        Nanoseconds since = 0;  // the first of it came, steady
    };

    void add(JournalPiece& piece) {
        if (pending_.bytes.empty()) {
            if (!piece.bytes.empty()) pending_.since = world_.clock.steady();
            pending_.bytes = std::move(piece.bytes);
            if (!pending_.bytes.empty()) pending_.open = piece.ends_within_record;
        } else if (!piece.bytes.empty()) {
            append(pending_.bytes, piece.bytes);
            pending_.open = piece.ends_within_record;
        }
        pending_.last = piece.last;
        pending_.records += piece.records;
        for (const Pause& pause : piece.pauses)
            if (pending_.pauses.size() < pauses_max)
                pending_.pauses.push_back(pause);
            else
                pending_.pauses.back().to = pause.to;
        progress_.items += piece.records;
    }

    static repo::JournalWriter::Piece segment_of(const Pending& pending) {
        return {pending.bytes, *pending.last, pending.records, pending.open, pending.pauses};
    }

    bool is_due() const {
        if (!pending_.last) return false;
        const Nanoseconds now = world_.clock.steady();
        if (pending_.bytes.empty()) return now - stored_at_ >= plan_.heartbeat;
        return pending_.bytes.size() >= plan_.segment_bytes || now - pending_.since >= plan_.flush_every;
    }

    void store(Follower& follower) {
        if (!pending_.last) return;
        const Pending pending = std::exchange(pending_, {});
        put_away(pending);
        stored_at_ = world_.clock.steady();
        stored_to_ = pending.last;
        report_.records += pending.records;
        report_.bytes += pending.bytes.size();
        report_.segments = writer_.segments();
        report_.stored = writer_.bytes_stored();
        progress_.bytes += pending.bytes.size();
        count_stored(follower);
    }

    // What the store does not take now the writer keeps; the follower stays with its source meanwhile.
    void put_away(const Pending& pending) {
        bool is_kept = false;
        for (Nanoseconds pause = one_second;; pause = std::min(2 * pause, plan_.wait_max)) {
            try {
                return std::exchange(is_kept, true) ? writer_.settle() : writer_.append(segment_of(pending));
            } catch (const Error& error) {
                if (plan_.once || !is_of_store(error) || world_.stop.requested()) throw;
                tell(error, pause);
            }
            wait(world_, pause);
        }
    }

    // Without its base a journal leads nowhere.
    void count_stored(Follower& follower) {
        if (!has_base_ || !stored_to_) return;
        report_.reached = std::exchange(stored_to_, std::nullopt);
        follower.durable(report_.reached->position);
        if (events_.stored) events_.stored(report_);
    }

    void add_base(repo::Snapshot snapshot) {
        if (!snapshot.moment)
            throw Error{Code::source_failed, "the base of {} does not say from where its log goes on", source_.name()};
        if (events_.base) events_.base(snapshot);
        // A run that began while it was taken needs one of its own.
        has_base_ = base_run_ == run_;
        if (!has_base_) base_due_ = world_.clock.steady();
        if (has_base_ && lies_before_run(snapshot.moment->position)) {
            has_base_ = false;
            world_.log.warning(
                fmt::format("{}: its base is of before the journal began, so another one is taken", source_.name()));
            base_due_ = world_.clock.steady() + base_wait_;
            base_wait_ = std::min(base_wait_ * 2, plan_.wait_max);
        }
        if (has_base_) newest_base_ = snapshot.moment;
        if (has_base_ && !stored_to_) stored_to_ = run_began_at_;
        report_.bases.push_back(std::move(snapshot));
    }

    // A member of a set that lags may have given it.
    bool lies_before_run(const Position& base) const {
        return base.line == run_start_.position.line && base.at < run_start_.position.at;
    }

    // As far as this key may, and it never ends the following: a `prune` does the same.
    void compact_if_due() {
        if (!repository_.keys().may_collect(repository_.keys().own_id())) return;
        const Nanoseconds now = world_.clock.steady();
        if (now - compacted_ < plan_.compact_every) return;
        compacted_ = now;
        try {
            repo::Journal journal(repository_, source_.name());
            journal.read();
            repo::compact_journal(repository_, journal, {});
        } catch (const Error& error) {
            if (is_stop(error.code())) throw;
            world_.log.warning(
                fmt::format("the journal of {} stays in many objects: {}", source_.name(), error.message()));
        }
    }

    // What is left goes in, and the lane is ended, as far as the store still answers.
    void close() noexcept {
        try {
            if (pending_.last) writer_.append(segment_of(pending_));
            writer_.end();
        } catch (const std::exception& error) {
            world_.log.warning(fmt::format("the journal of {} was not ended: {}", source_.name(), error.what()));
        }
    }

    Source& source_;
    repo::Repository& repository_;
    World& world_;
    const FollowPlan& plan_;
    const FollowEvents& events_;
    Progress& progress_;
    Progress base_progress_;
    repo::JournalWriter writer_;
    Pending pending_;
    bool began_ = false;
    Nanoseconds stored_at_ = 0;
    Nanoseconds compacted_ = 0;
    Nanoseconds wait_ = one_second;
    std::optional<Moment> stored_to_;    // and not counted yet
    Moment run_began_at_;                // or went on from there
    Moment run_start_;                   // of the present run, whoever began it
    std::optional<Moment> newest_base_;  // of the present run
    int reads_to_base_ = 0;
    std::size_t run_ = 0;                  // how many began in this process
    std::size_t base_run_ = 0;             // in which of them the last base began
    bool has_base_ = false;                // the present run has one
    std::optional<Nanoseconds> base_due_;  // steady
    Nanoseconds base_wait_ = one_second;
    FollowReport report_;
    BaseOnTheSide base_;  // the last: ends before what it uses
};

}  // namespace

FollowReport follow(Source& source, repo::Repository& repository, World& world, const FollowPlan& plan,
                    const FollowEvents& events, Progress& progress) {
    const std::string name = source.name();
    const Note note{"following {}", name};
    require_right_to_write(repository.keys(), name, "follow");
    repository.write_in(plan.domain);
    return Following(source, repository, world, plan, events, progress).run();
}

}  // namespace holdfast::engine
