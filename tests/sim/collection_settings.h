// tests/sim/collection_settings.h: the small worlds in which the model is explored.
//
// Limits   HOLDFAST_SIM_SCALE=1 (default): under ten CPU seconds without optimisation and with ASan; 2 and 3: more
//          crashes, rounds and collectors, and every mutation's trace is printed
#pragma once

#include "collection_model.h"

namespace holdfast::sim {

constexpr std::size_t states_max = 50'000'000;
constexpr Mask x = 1, y = 2;  // the chunks

// Pack 0 holds X for snapshot 0, which the user may forget; session s would put X into pack s + 1.
Setting one_lane();
Setting one_collector();
Setting one_session();
Setting one_session_two_collectors();
Setting one_session_three_collections();
// A dead process and its successor are two processes here, so that the dead one can wake.
Setting shared_lane();
Setting shared_lane_one_collector();
// Writer A enrols itself in the root's log, writer B opens a second lane beside it.
Setting enrolled();
Setting enrolled_without_crash();
// Collector 1 copies X out of pack 0, which also holds Y; the session needs Y.
Setting copying();
// The session needs what is copied, and collector 2 is fast.
Setting copying_slowly();
// Collector 2 has an orphan to collect meanwhile, and there are no writers.
Setting copying_alone();
// No older pack holds what both sessions need.
Setting of_its_own();
Setting of_its_own_refusing();
// The first session needs what the second does not.
Setting two_kinds();

int scale();  // 1 to 3
std::string as_text(const Exploration& found);

}  // namespace holdfast::sim
