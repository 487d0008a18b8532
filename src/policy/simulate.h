// policy/simulate.h: what a schedule and a retention will have kept, month by month. Pure.
//
// Units    nanoseconds since 1970 UTC; bytes
// Limits   runs_max runs
#pragma once

#include <span>
#include <vector>

#include "policy/retention.h"
#include "policy/schedule.h"

namespace holdfast::policy {

struct SimulationInput {
    const Schedule& schedule;
    Retention keep;
    Nanoseconds from = 0;
    Nanoseconds to = 0;
    std::vector<Candidate> present;  // snapshots of one group that are there at the beginning
    std::uint64_t bytes_base = 0;    // what any one snapshot needs
    std::uint64_t bytes_each = 0;    // what each further one adds
};
struct SimulationMonth {
    Nanoseconds end = 0;
    std::size_t snapshots = 0;
    Nanoseconds oldest = 0;  // received; 0: there is none
    std::uint64_t bytes = 0;
};
constexpr std::size_t simulation_runs_max = 200'000;

// The state after each month of 30 days, and at `to`; usage when the schedule is due more often than runs_max.
std::vector<SimulationMonth> simulate(const SimulationInput& input);

// What the sizes of earlier backups let expect, oldest first: the largest as the base, the median of the others for each.
struct SizeGuess {
    std::uint64_t bytes_base = 0;
    std::uint64_t bytes_each = 0;
};
SizeGuess guess_sizes(std::span<const std::uint64_t> stored);

}  // namespace holdfast::policy
