#include "app/job_health.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "testing/sim_world.h"

namespace holdfast::app {
namespace {

using ledger::RunState;

constexpr Nanoseconds day = 86'400 * one_second;

class JobHealth : public testing::Test {
protected:
    SimWorld sim_{1};
    TemporaryFolder folder_;
    std::unique_ptr<ledger::Ledger> ledger_ =
        ledger::Ledger::open(ledger::Place{folder_.path() + "/ledger.db"}, sim_.world());

    static policy::Job proof(const std::string& to = "") {
        policy::Job out;
        out.name = "proof";
        out.task = policy::ProveTask{.to = to};
        out.schedule = policy::Schedule::parse("@daily");
        return out;
    }
    // One a day, each with what became of its sources.
    void ended(RunState state, const std::vector<std::string>& results) {
        sim_.clock.advance(day);
        ledger::Run run;
        run.id = ledger::new_run_id(sim_.random);
        run.job = "proof";
        run.verb = "prove";
        run.state = state;
        run.due = run.start_at = run.started = run.ended = sim_.clock.now();
        for (const std::string& result : results) run.outcomes.push_back({.source = "db", .result = result});
        ASSERT_TRUE(ledger_->add_ended(run));
    }
    bool is_overdue(const policy::Job& job) { return app::is_overdue(*ledger_, job, sim_.clock.now()); }
};

TEST_F(JobHealth, proofs_that_leave_some_to_the_next_run_are_good) {
    ended(RunState::partial, {"pass"});
    EXPECT_FALSE(is_overdue(proof()));
    ended(RunState::partial, {"pass", "pass"});
    EXPECT_EQ(last_good(*ledger_, proof())->ended, sim_.clock.now());
}

TEST_F(JobHealth, proofs_that_test_nothing_are_no_success) {
    for (const std::vector<std::string>& results :
         std::vector<std::vector<std::string>>{{}, {"not_tested"}, {"pass", "not_tested"}}) {
        ended(RunState::partial, results);
        EXPECT_FALSE(last_good(*ledger_, proof()));
        EXPECT_TRUE(is_overdue(proof()));
    }
    ended(RunState::partial, {"pass"});
    const Nanoseconds good = sim_.clock.now();
    ended(RunState::partial, {"not_tested"});
    EXPECT_EQ(last_good(*ledger_, proof())->ended, good);
    EXPECT_FALSE(is_overdue(proof()));  // for another quarter of a day
    ended(RunState::partial, {"not_tested"});
    EXPECT_TRUE(is_overdue(proof()));
    ended(RunState::done, {"pass"});
    EXPECT_EQ(last_good(*ledger_, proof())->ended, sim_.clock.now());
}

TEST_F(JobHealth, a_rehearsal_that_restores_in_part_is_no_success) {
    ended(RunState::partial, {"ok", "partial"});
    EXPECT_TRUE(is_overdue(proof("staging")));
    ended(RunState::partial, {"pass"});
    EXPECT_TRUE(is_overdue(proof("staging")));
    ended(RunState::done, {"ok"});
    EXPECT_FALSE(is_overdue(proof("staging")));
}

}  // namespace
}  // namespace holdfast::app
