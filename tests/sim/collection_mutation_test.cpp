// Each rule of doc/format/collection.md is needed: without it, or with it done wrongly, the model loses something.
#include <gtest/gtest.h>

#include <cstdio>
#include <ostream>

#include "collection_settings.h"

namespace holdfast::sim {
namespace {

constexpr const char* lost = "a snapshot has lost a chunk";
constexpr const char* lied = "a writer was told that it committed, and did not";
constexpr const char* kept = "garbage that no collector can delete";

struct Mutation {
    Break rule;
    const char* name;
    Setting (*setting)();
    const char* outcome;
};

void PrintTo(const Mutation& mutation, std::ostream* out) { *out << mutation.name; }

constexpr Mutation mutations[] = {
    {Break::opens_without_learning, "W1_opens_without_learning_stamps", one_session, lost},
    {Break::uploads_before_open, "W1_uploads_before_open", one_session, lost},
    {Break::opens_over_open_session, "W1_opens_over_an_open_session", shared_lane_one_collector, lost},
    {Break::ignores_condemned, "W2_ignores_condemned", one_session, lost},
    {Break::believes_absent_gc, "W2_believes_that_gc_n_is_absent", one_session, lost},
    {Break::old_sparing_counts, "W2_an_old_sparing_counts", one_session_three_collections, lost},
    {Break::reuses_pack_name, "W2_puts_a_pack_under_an_old_name", one_collector, lost},
    {Break::publishes_before_upload, "W2_publishes_before_upload", one_collector, lost},
    {Break::ignores_fence, "W3_commits_after_FENCED", one_session, lost},
    {Break::fence_beside_log, "W3_fence_is_an_object_beside_the_log", one_session, lost},
    {Break::takes_exists_for_success, "W3_takes_exists_for_success", one_session, lied},
    {Break::commits_into_another_session, "W3_commits_into_another_session", shared_lane_one_collector, lost},
    {Break::goes_on_after_commit, "W3_goes_on_after_COMMIT", two_kinds, lost},
    {Break::fills_trimmed_slots, "W3_a_FENCED_is_trimmed", one_session, lost},
    {Break::lane_without_number, "LANE_without_number", enrolled_without_crash, lost},
    {Break::lane_forgets_enrolment, "LANE_forgets_number_of_ENROL", enrolled_without_crash, lost},
    {Break::opens_before_lane_entry, "LANE_after_OPEN", enrolled_without_crash, lost},
    {Break::enrol_without_number, "ENROL_without_number", enrolled_without_crash, lost},
    {Break::opens_before_enrol_entry, "ENROL_after_OPEN", enrolled_without_crash, lost},
    {Break::never_names, "G1_names_nothing_before_the_verdict", one_session, lost},
    {Break::names_after_stamping, "G1_names_after_stamping", one_session, lost},
    {Break::deletes_after_mark, "G1_deletes_after_the_mark", one_session, lost},
    {Break::copies_without_session, "G1_repacks_without_a_session", copying_slowly, lost},
    {Break::believes_own_copy, "G1_believes_a_copy_it_could_not_publish", copying_alone, lost},
    {Break::never_stamps, "G2_never_stamps", one_session, lost},
    {Break::stamps_busy_logs_only, "G2_stamps_busy_logs_only", one_session, lost},
    {Break::older_stamp_counts, "G2_an_older_STAMP_counts", one_session_three_collections, lost},
    {Break::lists_logs_before_stamping, "G2_lists_logs_before_stamping", enrolled_without_crash, lost},
    {Break::waits_not, "G3_waits_not", one_session, lost},
    {Break::never_fences, "G3_never_fences_the_dead", one_collector, kept},
    {Break::marks_not_again, "G4_marks_not_again", one_session, lost},
    {Break::skips_fenced_fragments, "G4_skips_fragments_of_fenced_sessions", of_its_own, lost},
    {Break::counts_doomed_copies, "G4_counts_copies_in_condemned_packs", one_session_three_collections, lost},
    {Break::obeys_own_mark, "G4_obeys_its_own_mark", one_session_two_collectors, lost},
    {Break::overwrites_verdict, "G4_overwrites_the_verdict", one_session_two_collectors, lost},
    {Break::spares_every_holder, "G4_spares_every_pack_with_a_reached_chunk", copying, kept},
    {Break::leaves_sweep_undone, "G4_nobody_takes_up_deletions", one_collector, kept},
};

class CollectionMutation : public ::testing::TestWithParam<Mutation> {};

TEST_P(CollectionMutation, is_caught) {
    const Mutation& mutation = GetParam();
    Setting setting = mutation.setting();
    setting.rule = mutation.rule;
    setting.at_rest = mutation.outcome == kept;
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-42s %s after %2zu steps (%zu states)\n", mutation.name, found.broken.c_str(), found.trace.size(),
                found.states);
    EXPECT_EQ(found.broken, mutation.outcome) << as_text(found);
    if (scale() > 1) std::printf("%s", as_text(found).c_str());
    setting.rule = Break::nothing;
    if (found.states < 10'000) {
        EXPECT_EQ(explore(CollectionModel{setting}, states_max).broken, "") << "broken without the mutation, too";
    }
}

INSTANTIATE_TEST_SUITE_P(Rules, CollectionMutation, ::testing::ValuesIn(mutations),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST(CollectionModel, a_copy_under_an_old_name_harms_nobody) {
    Setting setting = copying_slowly();
    setting.rule = Break::reuses_pack_name;
    setting.refuses = true;
    setting.at_rest = false;  // it is useless, though: the name may be condemned already
    setting.rounds = scale() > 1 ? std::array<Number, 2>{2, 2} : std::array<Number, 2>{2, 1};
    setting.crashes = static_cast<Number>(scale() > 2 ? 1 : 0);
    const Exploration found = explore(CollectionModel{setting}, states_max);
    std::printf("%-46s %8zu states\n", "copies under old names", found.states);
    EXPECT_EQ(found.broken, "") << as_text(found);
}

// A second line of defence: who knows no place for a reached chunk writes no verdict.
TEST(CollectionModel, a_collector_that_misses_fragments_gives_no_verdict) {
    Setting setting = of_its_own_refusing();
    setting.rule = Break::skips_fenced_fragments;
    EXPECT_EQ(explore(CollectionModel{setting}, states_max).broken, "");
}

}  // namespace
}  // namespace holdfast::sim
