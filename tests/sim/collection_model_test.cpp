// The rules W1 to W3 and G1 to G4 of doc/format/collection.md lose nothing, in any order of steps.
#include <gtest/gtest.h>

#include <cstdio>

#include "collection_settings.h"

namespace holdfast::sim {
namespace {

void expect_safe(const char* name, const Setting& setting, std::size_t states_at_least) {
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-46s %8zu states %9zu steps, up to %2zu deep, %6zu at rest\n", name, found.states, found.steps,
                found.depth, found.resting);
    EXPECT_EQ(found.broken, "") << as_text(found);
    EXPECT_TRUE(found.complete) << "more than " << states_max << " states";
    EXPECT_GT(found.states, states_at_least);
    EXPECT_GT(found.resting, 0U);
}

// The protocol as it is written.

TEST(CollectionModel, one_writer_and_two_collectors_lose_nothing) {
    Setting setting = one_lane();
    setting.crashes = static_cast<Number>(scale());
    expect_safe("one writer, two sessions, two collectors", setting, 150'000);
}

TEST(CollectionModel, forgetting_the_new_snapshot_as_well_loses_nothing) {
    Setting setting = one_lane();
    setting.forgettable |= bit(1);
    setting.crashes = static_cast<Number>(scale() - 1);
    if (scale() > 1) setting.packs |= bit(1);
    if (scale() > 2) setting.rounds = {2, 1};
    expect_safe("the same, and more is forgotten", setting, 100'000);
}

TEST(CollectionModel, a_dead_process_may_wake_after_its_successor_took_the_lane) {
    Setting setting = shared_lane();
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("two processes in one lane", setting, 130'000);
}

TEST(CollectionModel, a_signer_enrolled_and_a_lane_opened_meanwhile_are_seen) {
    expect_safe("a signer enrolled and a lane opened meanwhile", enrolled(), 90'000);
    Setting setting = enrolled();
    setting.rounds = {1, 1};
    setting.uploads = scale() > 1;
    if (scale() == 2) setting.crashes = 0;
    expect_safe("the same beside two collectors", setting, 60'000);
}

TEST(CollectionModel, a_session_in_the_log_that_enrols_others_is_no_different) {
    Setting setting = enrolled();
    setting.processes[2] = Process{0, 3, 3};
    setting.uploads = false;
    setting.crashes = static_cast<Number>(scale() - 1);
    if (scale() > 2) setting.rounds = {1, 1};
    expect_safe("three writers in three logs", setting, 15'000);
}

TEST(CollectionModel, a_repacked_chunk_is_always_somewhere) {
    Setting setting = copying();
    setting.crashes = static_cast<Number>(scale() - 1);
    setting.uploads = scale() > 1;
    expect_safe("a collector that repacks, beside another", setting, 30'000);
}

TEST(CollectionModel, a_repacking_collector_may_die_anywhere) {
    Setting setting = copying_alone();
    setting.crashes = 1;
    setting.rounds = scale() > 1 ? std::array<Number, 2>{2, 2} : std::array<Number, 2>{2, 1};
    expect_safe("a collector that repacks and dies", setting, 90'000);
}

// Liberties that the protocol leaves, so that nobody need guard against them.

TEST(CollectionModel, a_mark_may_name_any_packs_whatever) {
    Setting setting = one_lane();
    setting.any_mark = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("marks that name any packs", setting, 90'000);
}

TEST(CollectionModel, a_writer_may_know_more_than_its_log_says) {
    Setting setting = one_lane();
    setting.learns_more = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("numbers above those in the log", setting, 50'000);
}

TEST(CollectionModel, collections_may_overlap_when_earlier_ones_count_as_carried_out) {
    Setting setting = one_lane();
    setting.overlap = true;
    setting.keeps_mark = scale() > 1;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("collections that overlap", setting, 100'000);
}

TEST(CollectionModel, a_mark_may_be_older_than_the_collections_before_its_own) {
    Setting setting = one_lane();
    setting.keeps_mark = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("marks that are not made again", setting, 80'000);
}

TEST(CollectionModel, reading_entry_by_entry_is_no_different) {
    Setting setting = one_lane();
    setting.single_steps = true;
    setting.crashes = static_cast<Number>(scale() - 1);
    expect_safe("every entry read is a step", setting, 80'000);
    setting = enrolled();
    setting.single_steps = true;
    setting.uploads = false;
    expect_safe("the same with a lane and a signer meanwhile", setting, 5'000);
}

// What must be possible is: the models above would also be safe if nothing ever happened.

template <class Goal>
class GoalModel : public CollectionModel {
public:
    GoalModel(const Setting& setting, Goal goal) : CollectionModel{setting}, goal_{goal} {}
    const char* broken(const State& s) const { return goal_(s) ? "reached" : nullptr; }
    const char* broken_at_rest(const State&) const { return nullptr; }

private:
    Goal goal_;
};

template <class Goal>
void expect_possible(const char* name, const Setting& setting, Goal goal) {
    const Exploration found = explore(GoalModel<Goal>{setting, goal}, states_max);
    std::printf("possible: %-36s after %zu steps\n", name, found.trace.size());
    EXPECT_EQ(found.broken, "reached") << name;
}

TEST(CollectionModel, what_should_happen_can_happen) {
    expect_possible("a verdict spares a pack", one_session(),
                    [](const CollectionState& s) { return has(s.verdicts, 1) && s.gc[1].spared != 0; });
    expect_possible("a spared pack is condemned later and deleted", one_session_three_collections(),
                    [](const CollectionState& s) { return has(s.gc[1].spared, 0) && !has(s.packs, 0); });
    expect_possible("a copy replaces a pack still needed", copying(),
                    [](const CollectionState& s) { return !has(s.packs, 0) && !has(s.forgotten, 0); });
    expect_possible("a chunk of a pack being repacked is saved", copying(),
                    [](const CollectionState& s) { return has(s.gc[1].spared & s.gc[1].named, 0) && has(s.told, 1); });
    expect_possible("a session after the STAMP commits first", one_lane(),
                    [](const CollectionState& s) { return s.last_gc == 1 && s.verdicts == 0 && has(s.told, 2); });
    expect_possible("a collection is finished by another collector", one_lane(), [](const CollectionState& s) {
        return s.collectors[0].rounds == 0 && s.crashes == 0 && s.last_gc == 1 && s.collectors[0].at == At::rest &&
               s.collectors[1].at == At::sweep;
    });
}

}  // namespace
}  // namespace holdfast::sim
