#include "policy/simulate.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast::policy {

namespace {

constexpr Nanoseconds one_day = 86400 * one_second;
constexpr Nanoseconds one_month = 30 * one_day;

class Simulation {
public:
    explicit Simulation(const SimulationInput& input) : input_(input), present_(input.present) {}

    std::vector<SimulationMonth> run() {
        Nanoseconds month_end = std::min(input_.from + one_month, input_.to);
        std::size_t runs = 0;
        for (auto due = input_.schedule.next(input_.from); due && *due <= input_.to; due = input_.schedule.next(*due)) {
            if (++runs > simulation_runs_max)
                throw Error{Code::usage, "schedule `{}` is due more than {} times in that time", input_.schedule.text(),
                            simulation_runs_max}
                    .hint("Simulate less time.");
            for (; *due > month_end; month_end = std::min(month_end + one_month, input_.to)) report(month_end);
            Candidate next;
            next.received = *due;
            present_.push_back(std::move(next));
            // Once a day, as a forget job would.
            if (*due - last_forgotten_ >= one_day) forget(*due);
        }
        forget(input_.to);
        for (; month_end < input_.to; month_end = std::min(month_end + one_month, input_.to)) report(month_end);
        report(input_.to);
        return std::move(out_);
    }

private:
    void forget(Nanoseconds now) {
        last_forgotten_ = now;
        for (Candidate& each : present_) each.group.clear();
        const auto reasons = keep_reasons(present_, input_.keep);
        std::vector<Candidate> kept;
        for (std::size_t i = 0; i < present_.size(); ++i)
            if (!reasons[i].empty()) kept.push_back(std::move(present_[i]));
        present_ = std::move(kept);
    }

    void report(Nanoseconds end) {
        forget(end);
        SimulationMonth month{end, present_.size(), 0, 0};
        if (!present_.empty()) {
            month.oldest = std::ranges::min(present_, {}, &Candidate::received).received;
            month.bytes = input_.bytes_base + (present_.size() - 1) * input_.bytes_each;
        }
        out_.push_back(month);
    }

    const SimulationInput& input_;
    std::vector<Candidate> present_;
    Nanoseconds last_forgotten_ = INT64_MIN / 2;
    std::vector<SimulationMonth> out_;
};

}  // namespace

std::vector<SimulationMonth> simulate(const SimulationInput& input) { return Simulation(input).run(); }

SizeGuess guess_sizes(std::span<const std::uint64_t> stored) {
    if (stored.empty()) return {};
    std::vector<std::uint64_t> sizes(stored.begin(), stored.end());
    std::ranges::sort(sizes);
    const std::uint64_t largest = sizes.back();
    sizes.pop_back();
    return {largest, sizes.empty() ? largest : sizes[sizes.size() / 2]};
}

}  // namespace holdfast::policy
