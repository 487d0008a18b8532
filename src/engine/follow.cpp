#include "engine/follow.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "base/error.h"
#include "engine/back_up.h"
#include "engine/windows.h"
#include "repo/segment_pack.h"
#include "store/decorator.h"

namespace holdfast::engine {

namespace {

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
            const auto follower = source_.follow({world_, writer_.last(), plan_.once});
            if (!follower)
                throw Error{Code::usage, "{} is of kind {}, which cannot be followed", source_.name(), source_.kind()};
            begin(*follower);
            const bool ended = read(*follower);
            if (!ended) world_.log.warning(fmt::format("{}: {}", source_.name(), follower->broken_because()));
            return ended;
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
        const bool needs_base = !start.continues || !has_base();
        writer_.begin(
            {.continues = start.continues, .at = start.at, .why = start.why_not, .take_over = plan_.take_over});
        began_ = true;
        if (!start.continues) {
            ++run_;
            has_base_ = false;
        }
        pending_ = {};
        stored_at_ = world_.clock.steady();
        if (events_.began) events_.began(start);
        if (!needs_base || base_.running()) return;
        if (auto capture = follower.base()) {
            BaseOf source(source_, std::move(capture));
            base_run_ = run_;
            add_base(back_up(source, repository_, base_plan(), progress_).snapshot);
        } else {
            start_base();
        }
    }

    BackupPlan base_plan() const { return {.tags = plan_.tags, .host = plan_.host}; }

    void start_base() {
        base_due_.reset();
        base_run_ = run_;
        base_.start([this] { return back_up(source_, repository_, base_plan(), base_progress_).snapshot; });
    }

    // Only the journal's present run counts.
    bool has_base() {
        if (has_base_) return true;
        const auto windows = windows_of(writer_.journal(), repository_.snapshots());
        return !windows.empty() && windows.back().newest;
    }

    // Its failure does not end the following: what comes meanwhile is stored, and it is tried again.
    void look_after_base() {
        if (base_.running() && base_.done()) {
            try {
                add_base(base_.take());
                base_wait_ = one_second;
            } catch (const Error& error) {
                if (plan_.once || !may_pass(error) || world_.stop.requested()) throw;
                tell(error, base_wait_);
                base_due_ = world_.clock.steady() + base_wait_;
                base_wait_ = std::min(base_wait_ * 2, plan_.wait_max);
            }
        }
        if (base_due_ && !base_.running() && world_.clock.steady() >= *base_due_) start_base();
    }

    static bool may_pass(const Error& error) {
        return error.code() == Code::source_failed || error.code() == Code::unreachable;
    }
    void tell(const Error& error, Nanoseconds wait) const {
        if (events_.trouble) events_.trouble(error, wait);
    }

    bool read(Follower& follower) {
        while (true) {
            world_.stop.check();
            look_after_base();
            JournalPiece piece;
            const Follower::Came came = follower.read(piece, std::min(plan_.flush_every, one_second));
            wait_ = one_second;
            if (came == Follower::Came::piece) add(piece);
            if (events_.idle && pending_.last && pending_.bytes.empty()) events_.idle(*pending_.last);
            if (is_due() || came == Follower::Came::end || came == Follower::Came::broken) store(follower);
            if (came == Follower::Came::broken) return false;
            if (came == Follower::Came::end) {
                if (base_.running()) add_base(base_.take());
                if (base_due_) {
                    start_base();
                    add_base(base_.take());
                }
                return true;
            }
            compact_if_due();
        }
    }

    struct Pending {
        Bytes bytes;
        std::optional<Moment> last;
        std::uint64_t records = 0;
        bool open = false;
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
        progress_.items += piece.records;
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
        writer_.append({pending.bytes, *pending.last, pending.records, pending.open});
        stored_at_ = world_.clock.steady();
        follower.durable(pending.last->position);
        report_.reached = pending.last;
        report_.records += pending.records;
        report_.bytes += pending.bytes.size();
        report_.segments = writer_.segments();
        report_.stored = writer_.bytes_stored();
        progress_.bytes += pending.bytes.size();
        if (events_.stored) events_.stored(report_);
    }

    void add_base(repo::Snapshot snapshot) {
        if (!snapshot.moment)
            throw Error{Code::source_failed, "the base of {} does not say from where its log goes on", source_.name()};
        if (events_.base) events_.base(snapshot);
        // A run that began while it was taken needs one of its own.
        has_base_ = base_run_ == run_;
        if (!has_base_) base_due_ = world_.clock.steady();
        report_.bases.push_back(std::move(snapshot));
    }

    void compact_if_due() {
        const Nanoseconds now = world_.clock.steady();
        if (now - compacted_ < plan_.compact_every) return;
        compacted_ = now;
        repo::Journal journal(repository_, source_.name());
        journal.read();
        repo::compact_journal(repository_, journal, {});
    }

    // What is left goes in, and the lane is ended, as far as the store still answers.
    void close() noexcept {
        try {
            if (pending_.last) writer_.append({pending_.bytes, *pending_.last, pending_.records, pending_.open});
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
    std::size_t run_ = 0;                  // how many began in this process
    std::size_t base_run_ = 0;             // in which of them the last base began
    bool has_base_ = false;                // of the present run, taken by this process
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
    return Following(source, repository, world, plan, events, progress).run();
}

}  // namespace holdfast::engine
