// Retention goes by when snapshots came into the store, whatever the clocks of their writers say.
#include "engine/attest.h"
#include "filled_repository.h"

namespace holdfast::testing_support {
namespace {

using repo::Repository;
using repo::Role;

constexpr Nanoseconds one_day = 86400 * one_second;

repo::Unlock key_of(const std::string& label) { return test_key(label + std::string(32, '.')); }

// A store that has a clock of its own, or a folder whose files have times.
class Received : public testing::TestWithParam<bool> {
protected:
    class Clocked final : public StoreDecorator {
    public:
        explicit Clocked(Store& inner) : StoreDecorator(inner), traits_(inner.traits()) {
            traits_.has_clock = GetParam();
        }
        const StoreTraits& traits() const override { return traits_; }

    private:
        StoreTraits traits_;
    };
    void SetUp() override {
        small_.open()->add_key(key_of("writer"), {"writer", Role::writer});
        small_.open()->add_key(key_of("reader"), {"reader", Role::reader});
        small_.open()->add_key(key_of("maintainer"), {"maintainer", Role::maintainer});
    }
    std::unique_ptr<Repository> open_as(const std::string& label, SimWorld& sim) {
        return Repository::open(std::make_unique<Clocked>(small_.store), key_of(label), {}, sim.world());
    }
    // By a machine that has no cache.
    repo::SnapshotId back_up_by(SimWorld& machine, std::uint64_t seed) {
        const auto repository = open_as("writer", machine);
        const MemoryTree tree{{"/a", {noise(seed, 3'000)}}};
        MemorySource from(tree, "db");
        engine::Progress progress;
        return engine::back_up(from, *repository, {{}, "host", false, false}, progress).snapshot.id;
    }
    // One a day for five days, by a machine whose clock is off.
    std::vector<repo::SnapshotId> five_days(Nanoseconds off) {
        std::vector<repo::SnapshotId> out;
        for (std::uint64_t day = 0; day < 5; ++day) {
            small_.sim.clock.advance(one_day);
            SimWorld machine(100 + day);
            machine.clock.set_now(small_.sim.clock.now() + off);
            out.push_back(back_up_by(machine, day));
        }
        return out;
    }
    engine::ForgetReport keep_two_days(Repository& repository, bool dry_run) {
        engine::ForgetPlan plan{.ids = {}, .keep = policy::Retention{.daily = 2}, .policies = {}, .source = {}};
        plan.dry_run = dry_run;
        return engine::forget(repository, plan);
    }
    static std::set<repo::SnapshotId> kept(const engine::ForgetReport& report) {
        std::set<repo::SnapshotId> out;
        for (const engine::Verdict& each : report.keep) out.insert(each.snapshot.id);
        return out;
    }

    FilledRepository small_;
};
INSTANTIATE_TEST_SUITE_P(Clock, Received, testing::Bool(),
                         [](const auto& each) { return each.param ? "of_the_store" : "of_its_files"; });

// Stores tell time in seconds, and lanes have no order.
TEST_P(Received, of_one_second_the_last_captured_is_the_newest) {
    small_.sim.clock.advance(one_day);
    for (std::uint64_t round = 0; round < 6; ++round) {
        repo::SnapshotId last;
        for (std::uint64_t i = 0; i < 4; ++i) {
            SimWorld machine(10 * round + i);
            machine.clock.set_now(small_.sim.clock.now() + static_cast<Nanoseconds>(i) * one_second / 10);
            last = back_up_by(machine, i);
        }
        const auto repository = open_as("maintainer", small_.sim);
        engine::ForgetPlan plan{.ids = {}, .keep = policy::Retention{.last = 1}, .policies = {}, .source = {}};
        EXPECT_EQ(kept(engine::forget(*repository, plan)), std::set{last}) << round;
        EXPECT_EQ(repository->snapshots().back().id, last);
    }
}

TEST_P(Received, five_nights_that_are_first_seen_together_stay_five_nights) {
    for (const Nanoseconds off : {Nanoseconds{0}, 400 * one_day, -400 * one_day}) {
        SCOPED_TRACE(off / one_day);
        const MemoryStore::Objects before = small_.store.objects();
        const auto made = five_days(off);
        const std::set<repo::SnapshotId> newest(made.end() - 2, made.end());
        EXPECT_EQ(kept(keep_two_days(*open_as("maintainer", small_.sim), true)), newest)
            << "a dry run says what would be";
        EXPECT_EQ(kept(keep_two_days(*open_as("maintainer", small_.sim), false)), newest);
        EXPECT_EQ(kept(keep_two_days(*open_as("maintainer", small_.sim), true)), newest);
        small_.store.set_objects(before);
    }
}

TEST_P(Received, who_attests_says_it_and_that_stays) {
    const auto made = five_days(400 * one_day);
    engine::Progress progress;
    engine::attest(*open_as("reader", small_.sim), progress);
    small_.sim.clock.advance(100 * one_day);
    const auto repository = open_as("maintainer", small_.sim);
    ASSERT_EQ(repository->snapshots().size(), 5U);
    for (std::size_t day = 0; day < 5; ++day) {
        EXPECT_EQ(repository->snapshots()[day].id, made[day]);
        const Nanoseconds days = (SimClock::first_now + static_cast<Nanoseconds>(day + 1) * one_day);
        EXPECT_LT(std::abs(repository->snapshots()[day].received - days), one_second);
    }
}

TEST_P(Received, a_writer_from_the_future_is_shown_as_of_now) {
    five_days(400 * one_day);
    const auto seen = small_.open();
    for (const repo::Snapshot& each : seen->snapshots()) EXPECT_LE(each.received, small_.sim.clock.now());
}

}  // namespace
}  // namespace holdfast::testing_support
