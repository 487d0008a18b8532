#include "engine/follow.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/back_up.h"
#include "engine/maintain.h"
#include "engine/restore.h"
#include "repo/names.h"
#include "testing/memory_log.h"
#include "testing/small_repository.h"

namespace holdfast::engine {
namespace {

using testing_support::LoggedSource;
using testing_support::LoggedTarget;
using testing_support::MemoryLog;
using testing_support::SmallRepository;

// Nothing happens in it, and its clock goes on, until an instant at which it stops the world.
class Quiet final : public Source {
public:
    Quiet(LoggedSource& inner, World& world, Nanoseconds until, std::size_t& rounds)
        : inner_(inner), world_(world), until_(until), rounds_(rounds) {}
    std::string name() const override { return inner_.name(); }
    std::string kind() const override { return inner_.kind(); }
    std::vector<std::string> describe() const override { return inner_.describe(); }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override { return inner_.begin(request); }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override {
        return std::make_unique<Heartbeats>(*this, *request.from);
    }

private:
    class Heartbeats final : public Follower {
    public:
        Heartbeats(Quiet& owner, const Moment& at) : owner_(owner), start_{true, "", at} {}
        const Start& start() const override { return start_; }
        Came read(JournalPiece& into, Nanoseconds wait) override {
            ++owner_.rounds_;
            owner_.world_.clock.sleep(wait);
            if (owner_.world_.clock.now() >= owner_.until_) owner_.world_.stop.request(2);
            into.last = {start_.at.position, owner_.world_.clock.now()};
            return Came::piece;
        }

    private:
        Quiet& owner_;
        const Start start_;
    };
    LoggedSource& inner_;
    World& world_;
    const Nanoseconds until_;
    std::size_t& rounds_;
};

class Follow : public testing::Test {
protected:
    SmallRepository world_;
    TemporaryFolder client_{"follow-test"};
    std::unique_ptr<repo::Repository> repository_ = world_.open(client_.path());
    MemoryLog log_{world_.sim.clock};
    LoggedSource source_{log_};
    Progress progress_;

    // Each in a second of its own.
    void write(std::size_t lines) {
        for (std::size_t i = 0; i < lines; ++i) {
            world_.sim.clock.advance(one_second);
            log_.add(fmt::format("line {}\n", ++written_));
        }
    }
    FollowReport once(FollowPlan plan = {}) {
        plan.once = true;
        FollowReport out = follow(source_, *repository_, repository_->world(), plan, {}, progress_);
        repository_->refresh();
        return out;
    }
    repo::Journal journal() {
        repo::Journal out(*repository_, "logged");
        out.read();
        return out;
    }
    std::vector<Window> windows() { return windows_of(journal(), repository_->snapshots()); }

    std::string restored_at(Nanoseconds instant) {
        auto journal = std::make_shared<repo::Journal>(*repository_, "logged");
        journal->read();
        const auto route = find_route(*journal, repository_->snapshots(), instant);
        if (!route) return "no route";
        RestorePlan plan{route->base->id, {}, {}, ""};
        plan.journal = journal;
        plan.part = {route->begin, route->end, {.from = *route->base->moment, .until = instant, .until_before = {}}};
        LoggedTarget target;
        restore(*repository_, plan, target, progress_);
        return target.state();
    }

    std::unique_ptr<repo::Repository> open_with(const repo::Unlock& key) {
        return repo::Repository::open(std::make_unique<StoreDecorator>(world_.store), key, {}, world_.sim.world());
    }

    // In a world that was not stopped.
    void look_again() {
        after_.clock.set_now(now());
        repository_ = repo::Repository::open(std::make_unique<StoreDecorator>(world_.store),
                                             testing_support::test_key(), {}, after_.world());
    }

    Nanoseconds now() const { return world_.sim.clock.now(); }
    SimWorld after_{2};
    std::size_t written_ = 0;
};

TEST_F(Follow, takes_a_base_by_itself_and_brings_the_journal_up_to_now) {
    write(3);
    const FollowReport first = once();
    EXPECT_EQ(first.bases.size(), 1U);
    write(7);
    const FollowReport second = once();
    EXPECT_TRUE(second.bases.empty());
    EXPECT_EQ(second.records, 7U);
    ASSERT_EQ(windows().size(), 1U);
    EXPECT_EQ(windows()[0].to.position.at, 10U);
    EXPECT_TRUE(windows()[0].newest);
}

TEST_F(Follow, restores_to_every_instant_of_a_window) {
    write(5);
    const Nanoseconds begin = now();
    for (int i = 0; i < 4; ++i) {
        once();
        write(10);
        if (i == 2) back_up(source_, *repository_, {}, progress_);  // a further base within the window
    }
    once();
    for (Nanoseconds instant = begin; instant <= now(); instant += one_second)
        EXPECT_EQ(restored_at(instant), log_.state(instant));
}

// As when the clock of a new primary is behind that of the old one.
TEST_F(Follow, a_base_whose_clock_went_back_is_not_taken_for_an_earlier_instant) {
    write(3);
    once();
    write(5);
    once();
    write(5);
    once();
    std::vector<repo::Snapshot> snapshots = repository_->snapshots();
    ASSERT_EQ(snapshots.size(), 1U);
    repo::Snapshot later = snapshots[0];
    later.id = repo::SnapshotId{};
    later.moment = {journal().runs().back().to.position, snapshots[0].moment->time + one_second};
    snapshots.push_back(later);
    const Nanoseconds before = snapshots[0].moment->time + 2 * one_second;
    EXPECT_EQ(find_route(journal(), snapshots, before)->base->id, snapshots[0].id);
    EXPECT_EQ(find_route(journal(), snapshots, now())->base->id, later.id);
    EXPECT_EQ(windows_of(journal(), snapshots)[0].base, snapshots[0].id);
}

TEST_F(Follow, pieces_that_end_within_a_record_lose_nothing) {
    source_.cut_every = 5;
    write(3);
    const Nanoseconds begin = now();
    once({.segment_bytes = 7});
    write(20);
    once({.segment_bytes = 7});
    back_up(source_, *repository_, {}, progress_);
    write(5);
    once({.segment_bytes = 7});
    for (Nanoseconds instant = begin; instant <= now(); instant += one_second)
        EXPECT_EQ(restored_at(instant), log_.state(instant));
}

TEST_F(Follow, a_gap_closes_the_window_and_begins_one_with_a_new_base) {
    write(3);
    once();
    write(4);
    once();
    const Nanoseconds end_of_first = now();
    write(10);
    log_.drop_before(15);
    write(1);
    const FollowReport second = once();
    EXPECT_EQ(second.bases.size(), 1U);
    ASSERT_EQ(windows().size(), 2U);
    EXPECT_EQ(windows()[1].why, "the log begins later");
    EXPECT_EQ(windows()[0].to.position.at, 7U);
    EXPECT_EQ(restored_at(end_of_first), log_.state(end_of_first));
    EXPECT_EQ(restored_at(now()), log_.state(now()));
    // Between the windows there is nothing nearer than the end of the first.
    EXPECT_EQ(restored_at(end_of_first + 3 * one_second), log_.state(end_of_first));
}

TEST_F(Follow, a_base_that_comes_with_the_log_is_used) {
    source_.bring_base = true;
    write(3);
    EXPECT_EQ(once().bases.size(), 1U);
    write(4);
    once();
    EXPECT_EQ(restored_at(now()), log_.state(now()));
}

// Others write to it whenever a base is begun; of the first base a lagging member says that it is of so much earlier.
class Busy final : public Source {
public:
    Busy(LoggedSource& inner, MemoryLog& log, std::uint64_t lag) : inner_(inner), log_(log), lag_(lag) {}
    std::string name() const override { return inner_.name(); }
    std::string kind() const override { return inner_.kind(); }
    std::vector<std::string> describe() const override { return inner_.describe(); }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override { return inner_.follow(request); }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        if (lag_ == 0)
            for (int i = 0; i < 9; ++i) log_.add(fmt::format("meanwhile {}\n", i));
        return std::make_unique<Earlier>(inner_.begin(request), std::exchange(lag_, 0));
    }

private:
    class Earlier final : public Capture {
    public:
        Earlier(std::unique_ptr<Capture> inner, std::uint64_t lag) : inner_(std::move(inner)), lag_(lag) {}
        bool next(Batch& batch) override { return inner_->next(batch); }
        std::optional<Finding> complete(const Batch& batch, Item& item) override {
            return inner_->complete(batch, item);
        }
        Opened open(const Batch& batch, const Batch::Entry& entry) override { return inner_->open(batch, entry); }
        CaptureSummary finish() override {
            CaptureSummary out = inner_->finish();
            out.moment->position.at -= lag_;
            return out;
        }

    private:
        const std::unique_ptr<Capture> inner_;
        const std::uint64_t lag_;
    };
    LoggedSource& inner_;
    MemoryLog& log_;
    std::uint64_t lag_;
};

TEST_F(Follow, what_is_written_while_the_base_is_taken_is_in_the_window) {
    write(3);
    Busy busy(source_, log_, 0);
    follow(busy, *repository_, repository_->world(), {.once = true}, {}, progress_);
    repository_->refresh();
    ASSERT_EQ(windows().size(), 1U);
    EXPECT_EQ(windows()[0].to.position.at, 12U);
    EXPECT_EQ(restored_at(now()), log_.state(now()));
}

TEST_F(Follow, a_base_of_before_the_journal_is_taken_anew) {
    write(5);
    Busy busy(source_, log_, 2);
    const FollowReport report = follow(busy, *repository_, repository_->world(), {.once = true}, {}, progress_);
    repository_->refresh();
    EXPECT_EQ(report.bases.size(), 2U);
    ASSERT_EQ(windows().size(), 1U);
    EXPECT_EQ(windows()[0].bases, 1U);
    EXPECT_EQ(restored_at(now()), log_.state(now()));
}

TEST_F(Follow, goes_on_after_a_lost_connection_without_a_gap) {
    write(3);
    once();
    write(30);
    source_.cut_every = 11;
    source_.fail_after = 9;
    std::size_t troubles = 0;
    FollowEvents events;
    events.trouble = [&](const Error&, Nanoseconds) { ++troubles; };
    events.stored = [&](const FollowReport& report) {
        if (report.reached->position.at == log_.end().position.at) world_.sim.world().stop.request(15);
    };
    EXPECT_THROW(follow(source_, *repository_, repository_->world(), {.segment_bytes = 20}, events, progress_), Error);
    EXPECT_EQ(troubles, 1U);
    look_again();
    EXPECT_EQ(windows().size(), 1U);
    EXPECT_EQ(journal().runs().size(), 1U);
    EXPECT_TRUE(journal().segments().back().ends) << "a stop ends the lane";
}

TEST_F(Follow, another_history_in_mid_stream_is_a_new_window) {
    write(3);
    once();
    write(3);
    bool switched = false;
    FollowEvents events;
    events.stored = [&](const FollowReport& report) {
        if (!switched) {
            switched = true;
            log_.start_again("second");
            write(2);
        } else if (report.bases.size() == 1) {
            world_.sim.world().stop.request(2);
        }
    };
    events.base = [&](const repo::Snapshot&) { write(1); };
    EXPECT_THROW(follow(source_, *repository_, repository_->world(), {.flush_every = one_second}, events, progress_),
                 Error);
    look_again();
    EXPECT_EQ(windows().size(), 2U);
    EXPECT_EQ(restored_at(now()), log_.state(now()));
}

TEST_F(Follow, an_idle_source_costs_a_segment_a_minute) {
    write(3);
    once();
    const std::size_t before = journal().segments().size();
    const Nanoseconds until = now() + 600 * one_second;
    std::size_t rounds = 0;
    FollowEvents events;
    Quiet quiet(source_, world_.sim.world(), until, rounds);
    EXPECT_THROW(follow(quiet, *repository_, repository_->world(), {}, events, progress_), Error);
    look_again();
    EXPECT_GT(rounds, 500U);
    EXPECT_LE(journal().segments().size() - before, 14U);
    EXPECT_GE(windows()[0].to.time, until - 61 * one_second) << "idle time counts as reached";
}

TEST_F(Follow, a_writers_key_goes_on_for_hours_and_leaves_compaction_to_who_may) {
    const auto key = testing_support::test_key("a key that may write and nothing else");
    repository_->add_key(key, {"writer", repo::Role::writer});
    write(3);
    const auto theirs = open_with(key);
    follow(source_, *theirs, theirs->world(), {.once = true}, {}, progress_);
    const Nanoseconds until = now() + 3 * 3600 * one_second;
    std::size_t rounds = 0;
    Quiet quiet(source_, world_.sim.world(), until, rounds);
    try {
        follow(quiet, *theirs, theirs->world(), {}, {}, progress_);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::cancelled) << error.message();
    }
    EXPECT_GE(now(), until);
    for (const std::string& name : world_.store.names("journal/")) EXPECT_EQ(name.find('-'), std::string::npos) << name;
    look_again();
    EXPECT_EQ(windows().size(), 1U);
    EXPECT_GT(prune(*repository_, {}, progress_).segments_packed, 100U);
    EXPECT_EQ(windows().size(), 1U);
}

// A store that refuses to remove.
class Keeps final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    void remove(std::string_view name) override { throw Error{Code::denied, "{} may not be removed", name}; }
};

TEST_F(Follow, what_keeps_a_journal_in_many_objects_does_not_end_it) {
    write(3);
    once();
    Keeps keeps(world_.store);
    const auto kept = world_.open_through(keeps);
    const Nanoseconds until = now() + 3 * 3600 * one_second;
    std::size_t rounds = 0;
    Quiet quiet(source_, world_.sim.world(), until, rounds);
    EXPECT_THROW(follow(quiet, *kept, kept->world(), {}, {}, progress_), Error);
    EXPECT_GE(now(), until);
    EXPECT_TRUE(world_.sim.log.contains("the journal of logged stays in many objects"));
}

// A store that is away for a while, and whoever follows counts how often the log was opened.
class Away final : public StoreDecorator {
public:
    explicit Away(Store& inner) : StoreDecorator(inner) {}
    Created create(std::string_view name, ByteView bytes) override {
        if (calls_ > 0 && name.starts_with("journal/")) {
            --calls_;
            if (does_it) inner().create(name, bytes);
            throw Error{Code::unreachable, "it is away"};
        }
        return inner().create(name, bytes);
    }
    void go(int calls) { calls_ = calls; }
    bool does_it = false;  // and says that it did not

private:
    int calls_ = 0;
};

class Counted final : public Source {
public:
    explicit Counted(Source& inner) : inner_(inner) {}
    std::string name() const override { return inner_.name(); }
    std::string kind() const override { return inner_.kind(); }
    std::vector<std::string> describe() const override { return inner_.describe(); }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override { return inner_.begin(request); }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override {
        ++opened;
        return inner_.follow(request);
    }
    int opened = 0;

private:
    Source& inner_;
};

TEST_F(Follow, a_store_that_is_away_for_long_is_waited_for_with_the_log_kept_open) {
    for (const bool does_it : {false, true}) {
        write(3);
        once();
        write(9);
        Away away(world_.store);
        away.does_it = does_it;
        Stop stop;
        const auto repository = world_.open_through(away);
        Counted counted(source_);
        std::size_t troubles = 0;
        FollowEvents events;
        events.trouble = [&](const Error& error, Nanoseconds) {
            EXPECT_EQ(error.code(), Code::unreachable);
            ++troubles;
        };
        bool went = false;
        events.stored = [&](const FollowReport& report) {
            if (!std::exchange(went, true)) return away.go(40);
            if (report.reached->position.at == log_.end().position.at) stop.request(15);
        };
        FollowPlan plan;
        plan.flush_every = one_second;
        plan.segment_bytes = 20;
        World stoppable{world_.sim.clock, world_.sim.random, stop, world_.sim.log};
        EXPECT_THROW(follow(counted, *repository, stoppable, plan, events, progress_), Error);
        EXPECT_EQ(troubles, 40U);
        EXPECT_EQ(counted.opened, 1);
        repository_->refresh();
        ASSERT_EQ(journal().runs().size(), 1U);
        EXPECT_EQ(windows()[0].to.position.at, log_.end().position.at);
        EXPECT_EQ(restored_at(now()), log_.state(now()));
        EXPECT_TRUE(journal().segments().back().ends);
    }
}

TEST_F(Follow, nothing_is_durable_before_its_base_is_stored) {
    class Watched final : public Source {
    public:
        Watched(Source& inner, std::function<void()> told) : inner_(inner), told_(std::move(told)) {}
        std::string name() const override { return inner_.name(); }
        std::string kind() const override { return inner_.kind(); }
        std::vector<std::string> describe() const override { return inner_.describe(); }
        std::unique_ptr<Capture> begin(const CaptureRequest& request) override { return inner_.begin(request); }
        std::unique_ptr<Follower> follow(const FollowRequest& request) override {
            return std::make_unique<Told>(inner_.follow(request), told_);
        }

    private:
        class Told final : public Follower {
        public:
            Told(std::unique_ptr<Follower> inner, const std::function<void()>& told)
                : inner_(std::move(inner)), told_(told) {}
            const Start& start() const override { return inner_->start(); }
            std::unique_ptr<Capture> base() override { return inner_->base(); }
            Came read(JournalPiece& into, Nanoseconds wait) override { return inner_->read(into, wait); }
            void durable(const Position&) override { told_(); }

        private:
            const std::unique_ptr<Follower> inner_;
            const std::function<void()>& told_;
        };
        Source& inner_;
        const std::function<void()> told_;
    };
    for (const bool bring : {false, true}) {
        source_.bring_base = bring;
        log_.start_again(bring ? "third" : "second");
        write(4);
        std::size_t told = 0, bases = 0;
        FollowEvents events;
        events.base = [&](const repo::Snapshot&) { ++bases; };
        Watched watched(source_, [&] {
            EXPECT_EQ(bases, 1U);
            ++told;
        });
        follow(watched, *repository_, repository_->world(), {.once = true}, events, progress_);
        repository_->refresh();
        EXPECT_GT(told, 0U);
    }
}

TEST_F(Follow, a_source_without_a_log_is_refused) {
    testing_support::MemoryTree tree{{"/a", {"x"}}};
    testing_support::MemorySource plain(tree);
    try {
        follow(plain, *repository_, repository_->world(), {.once = true}, {}, progress_);
        FAIL() << "files were followed";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::usage);
    }
}

TEST_F(Follow, a_key_that_is_for_other_sources_or_may_not_write_is_refused) {
    write(2);
    const auto key = [](const char* label) { return testing_support::test_key(label + std::string(32, '.')); };
    repository_->add_key(key("ours"), {"ours", repo::Role::writer, {"logged"}});
    repository_->add_key(key("other"), {"other", repo::Role::writer, {"uploads"}});
    repository_->add_key(key("reader"), {"reader", repo::Role::reader});
    for (const char* label : {"other", "reader"}) {
        const auto refused = open_with(key(label));
        try {
            follow(source_, *refused, refused->world(), {.once = true}, {}, progress_);
            FAIL() << label;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::denied) << error.message();
        }
        EXPECT_TRUE(world_.store.names("journal/").empty()) << label;
    }
    const auto ours = open_with(key("ours"));
    follow(source_, *ours, ours->world(), {.once = true}, {}, progress_);
    repository_->refresh();
    EXPECT_EQ(windows().size(), 1U);
}

TEST_F(Follow, forget_never_takes_the_base_of_a_window_and_prune_what_no_window_needs) {
    write(2);
    once();
    for (int i = 0; i < 5; ++i) {
        write(10);
        once();
        world_.sim.clock.advance(3600 * one_second);
        back_up(source_, *repository_, {}, progress_);
        repository_->refresh();
    }
    const Nanoseconds window = 5400 * one_second;  // needs the base before that
    ForgetPlan plan;
    plan.keep.emplace().last = 1;
    plan.windows = {{"logged", window}};
    const ForgetReport forgotten = forget(*repository_, plan);
    repository_->refresh();
    EXPECT_EQ(forgotten.remove.size(), 4U);
    ASSERT_EQ(repository_->snapshots().size(), 2U);
    PrunePlan pruning;
    pruning.windows = plan.windows;
    const PruneReport pruned = prune(*repository_, pruning, progress_);
    EXPECT_GT(pruned.journal_bytes_freed, 0U);
    EXPECT_EQ(restored_at(now() - window), log_.state(now() - window));
    EXPECT_EQ(restored_at(now()), log_.state(now()));
    write(3);
    once();
    EXPECT_EQ(restored_at(now()), log_.state(now()));
    EXPECT_EQ(windows().size(), 1U);
}

TEST_F(Follow, prune_expires_nothing_by_a_clock_that_jumped_until_it_is_trusted) {
    write(2);
    once();
    const Nanoseconds begin = now();
    for (int i = 0; i < 4; ++i) {
        write(10);
        once();
        world_.sim.clock.advance(3600 * one_second);
        back_up(source_, *repository_, {}, progress_);
        repository_->refresh();
    }
    PrunePlan plan;
    plan.windows = {{"logged", 30 * 86400 * one_second}};
    EXPECT_EQ(prune(*repository_, plan, progress_).journal_bytes_freed, 0U);
    world_.sim.clock.set_now(now() + 400 * 86400 * one_second);
    for (const bool dry_run : {true, false}) {
        plan.dry_run = dry_run;
        const PruneReport refused = prune(*repository_, plan, progress_);
        EXPECT_EQ(refused.journal_bytes_freed, 0U);
        ASSERT_EQ(refused.journals_left.size(), 1U);
        EXPECT_EQ(refused.journals_left[0].source, "logged");
        EXPECT_NE(refused.journals_left[0].why.find("put forward by 400 d"), std::string::npos);
    }
    EXPECT_TRUE(world_.sim.log.contains("the journal of logged is left as it is"));
    EXPECT_EQ(restored_at(begin), log_.state(begin));
    EXPECT_TRUE(prune(*repository_, {}, progress_).journals_left.empty()) << "without a window no clock is asked";
    EXPECT_EQ(restored_at(begin), log_.state(begin));
    plan.trust_clock = true;
    const PruneReport trusting = prune(*repository_, plan, progress_);
    EXPECT_TRUE(trusting.journals_left.empty());
    EXPECT_GT(trusting.journal_bytes_freed, 0U);
}

TEST_F(Follow, prune_takes_nothing_of_a_journal_while_it_cannot_see_all_bases) {
    const auto key = testing_support::test_key("another key, whose log is damaged");
    const repo::SignerId other = repository_->add_key(key, {"other", repo::Role::writer});
    {
        const auto theirs = open_with(key);
        write(2);
        follow(source_, *theirs, theirs->world(), {.once = true}, {}, progress_);
    }
    const Nanoseconds instant = now();
    log_.start_again("second");
    write(2);
    once();
    ASSERT_EQ(windows().size(), 2U);
    const std::string entry = repo::names::log_entry(other, 0, 1);
    world_.flip(entry, world_.store.read(entry)->size() / 2);
    for (const bool dry_run : {true, false}) {
        const auto fresh = world_.open();
        ASSERT_EQ(fresh->snapshots().size(), 1U);
        PrunePlan plan;
        plan.dry_run = dry_run;
        try {
            prune(*fresh, plan, progress_);
            FAIL() << "it pruned what it does not wholly know";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
        }
    }
    world_.flip(entry, world_.store.read(entry)->size() / 2);
    EXPECT_EQ(windows().size(), 2U);
    EXPECT_EQ(restored_at(instant), log_.state(instant));
}

TEST_F(Follow, the_base_of_a_window_is_protected_when_it_is_named) {
    write(2);
    once();
    write(2);
    once();
    ForgetPlan plan;
    plan.ids = {repository_->snapshots().front().id};
    plan.allow_last = true;
    plan.windows = {{"logged", 30 * 86400 * one_second}};
    const auto refusal = [&] {
        try {
            forget(*repository_, plan);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::retention);
            return error.message();
        }
        return std::string("nothing refused it");
    };
    EXPECT_NE(refusal().find("is the base of a window"), std::string::npos);
    // A clock that jumped does not say that the window is over.
    log_.start_again("second");
    write(2);
    once();
    world_.sim.clock.set_now(now() + 400 * 86400 * one_second);
    EXPECT_NE(refusal().find("put forward by 400 d"), std::string::npos);
    plan.trust_clock = true;
    EXPECT_EQ(refusal(), "nothing refused it");
}

}  // namespace
}  // namespace holdfast::engine
