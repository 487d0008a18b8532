#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "engine/back_up.h"
#include "engine/maintain.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Nanoseconds one_day = 86400 * one_second;

// A store whose clock is not the machine's.
class ClockedStore final : public StoreDecorator {
public:
    ClockedStore(Store& inner, const Clock& clock) : StoreDecorator(inner), clock_(clock), traits_(inner.traits()) {
        traits_.has_clock = true;
    }
    const StoreTraits& traits() const override { return traits_; }
    std::optional<ObjectInfo> find(std::string_view name) override {
        auto out = StoreDecorator::find(name);
        if (out) out->time = clock_.now() - ahead;
        return out;
    }
    Nanoseconds ahead = 0;  // of the machine's clock

private:
    const Clock& clock_;
    StoreTraits traits_;
};

// As one that is behind may answer.
class StaleStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    void list(std::string_view prefix, const std::function<void(const ObjectInfo&)>& each) override {
        StoreDecorator::list(prefix, [&](const ObjectInfo& object) {
            if (!object.name.starts_with("notes/")) each(object);
        });
    }
};

class Forget : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    const TemporaryFolder client_;
    const testing_support::MemoryTree tree_{{"/a", {"content"}}};

    repo::SnapshotId back_up(repo::Repository& repository, std::map<std::string, std::string> tags = {},
                             std::optional<Nanoseconds> time = {}) {
        testing_support::MemorySource source(tree_);
        Progress progress;
        BackupPlan plan;
        plan.tags = std::move(tags);
        plan.time = time;
        const auto id = engine::back_up(source, repository, plan, progress).snapshot.id;
        world_.sim.clock.advance(one_day);
        return id;
    }
    static std::string refusal(repo::Repository& repository, const ForgetPlan& plan) {
        try {
            forget(repository, plan);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::retention);
            return error.message();
        }
        return "";
    }
    static ForgetPlan last(std::uint32_t count) {
        ForgetPlan plan;
        plan.keep = policy::Retention{.last = count};
        return plan;
    }
};

TEST_F(Forget, jobs_judge_what_they_made_and_say_why) {
    const auto repository = world_.open(client_.path());
    policy::Job job;
    job.name = "nightly";
    job.sources = {"memory"};
    job.retention = policy::NamedRetention{"two", {.last = 2}};
    const auto first = back_up(*repository, {{"job", "nightly"}});
    back_up(*repository, {{"job", "nightly"}});
    back_up(*repository, {{"job", "nightly"}});
    ForgetPlan plan;
    plan.policies.emplace(std::span(&job, 1), std::map<std::string, policy::Retention>{});
    const ForgetReport report = forget(*repository, plan);
    ASSERT_EQ(report.remove.size(), 1U);
    EXPECT_EQ(report.remove[0].snapshot.id, first);
    EXPECT_THAT(report.remove[0].reasons, ElementsAre("two does not keep it"));
    EXPECT_THAT(report.keep.at(0).reasons, ElementsAre("two: last 2"));
    EXPECT_EQ(repository->snapshots().size(), 2U);
}

TEST_F(Forget, old_dumps_that_are_taken_in_push_no_backup_out) {
    const auto repository = world_.open(client_.path());
    const Nanoseconds now = world_.sim.clock.now();
    back_up(*repository);
    const auto backup = back_up(*repository);
    const auto newest = back_up(*repository, {{"imported", "sql"}}, now - 300 * one_day);
    back_up(*repository, {{"imported", "sql"}}, now - 500 * one_day);
    back_up(*repository, {{"imported", "sql"}}, now - 400 * one_day);
    EXPECT_EQ(forget(*repository, last(1)).remove.size(), 3U);
    ASSERT_EQ(repository->snapshots().size(), 2U);
    EXPECT_EQ(repository->snapshots()[0].id, backup);
    EXPECT_EQ(repository->snapshots()[1].id, newest);
}

TEST_F(Forget, an_import_from_the_future_is_no_newer_than_when_it_came) {
    const auto repository = world_.open(client_.path());
    const auto lying = back_up(*repository, {{"imported", "sql"}}, world_.sim.clock.now() + 400 * one_day);
    const auto honest = back_up(*repository, {{"imported", "sql"}}, world_.sim.clock.now());
    const ForgetReport report = forget(*repository, last(1));
    ASSERT_EQ(report.remove.size(), 1U);
    EXPECT_EQ(report.remove[0].snapshot.id, lying);
    EXPECT_EQ(repository->snapshots().at(0).id, honest);
}

TEST_F(Forget, a_clock_that_jumped_forward_stops_it_until_it_is_trusted) {
    const auto repository = world_.open(client_.path());
    for (int i = 0; i < 3; ++i) back_up(*repository);
    EXPECT_EQ(forget(*repository, last(2)).remove.size(), 1U);
    world_.sim.clock.set_now(world_.sim.clock.now() + 400 * one_day);
    EXPECT_THAT(refusal(*repository, last(1)), HasSubstr("it was put forward by 400 d"));
    EXPECT_EQ(repository->snapshots().size(), 2U);
    ForgetPlan trusting = last(1);
    trusting.trust_clock = true;
    EXPECT_EQ(forget(*repository, trusting).remove.size(), 1U);
    EXPECT_EQ(refusal(*repository, last(1)), "");
}

TEST_F(Forget, snapshots_from_the_future_stop_it) {
    const auto repository = world_.open(client_.path());
    back_up(*repository);
    back_up(*repository);
    world_.sim.clock.set_now(world_.sim.clock.now() - 30 * one_day);
    EXPECT_THAT(refusal(*repository, last(1)), HasSubstr("later than it is now"));
    EXPECT_EQ(repository->snapshots().size(), 2U);
}

TEST_F(Forget, ids_are_forgotten_whatever_the_clock_says) {
    const auto repository = world_.open(client_.path());
    const auto first = back_up(*repository);
    back_up(*repository);
    world_.sim.clock.set_now(world_.sim.clock.now() - 30 * one_day);
    ForgetPlan plan;
    plan.ids = {first};
    EXPECT_EQ(forget(*repository, plan).remove.size(), 1U);
}

TEST_F(Forget, a_hold_that_no_listing_shows_keeps_its_snapshot) {
    const auto first = back_up(*world_.open());
    back_up(*world_.open());
    world_.open()->notes().append(first, repo::NoteKind::hold, 1, "audit");
    StaleStore stale(world_.store);
    const auto repository = world_.open_through(stale);
    ASSERT_TRUE(repository->snapshots().front().holds.empty());
    ForgetPlan plan;
    plan.ids = {first};
    EXPECT_THAT(refusal(*repository, plan), HasSubstr("is held: audit"));
    EXPECT_TRUE(forget(*world_.open_through(stale), last(1)).remove.empty());
    EXPECT_EQ(world_.open()->snapshots().size(), 2U);
}

TEST_F(Forget, a_note_that_cannot_be_read_may_be_a_hold) {
    const auto repository = world_.open();
    const auto first = back_up(*repository);
    back_up(*repository);
    std::uint64_t number = 0;
    while (world_.store.find(repo::names::note(first, number))) ++number;
    world_.store.create(repo::names::note(first, number), as_bytes("damaged"));
    ForgetPlan plan;
    plan.ids = {first};
    EXPECT_THAT(refusal(*repository, plan), HasSubstr("it may have been a hold"));
    EXPECT_EQ(repository->snapshots().size(), 2U);
    plan.allow_unreadable = true;
    EXPECT_EQ(forget(*repository, plan).remove.size(), 1U);
}

TEST_F(Forget, times_are_the_stores_where_it_has_a_clock) {
    ClockedStore store(world_.store, world_.sim.clock);
    const auto repository = world_.open_through(store);
    const auto received = [&](const repo::SnapshotId& id) {
        repository->refresh();
        return std::ranges::find(repository->snapshots(), id, &repo::Snapshot::id)->received;
    };
    const Nanoseconds first = world_.sim.clock.now();
    EXPECT_EQ(received(back_up(*repository)), first);
    store.ahead = 90 * one_day;
    const Nanoseconds second = world_.sim.clock.now();
    EXPECT_EQ(received(back_up(*repository)), second - 90 * one_day);
    store.ahead = 5 * one_second;  // an honest difference: this machine's clock is the finer one
    const Nanoseconds third = world_.sim.clock.now();
    EXPECT_EQ(received(back_up(*repository)), third);
}

}  // namespace
}  // namespace holdfast::engine
