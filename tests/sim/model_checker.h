// tests/sim/model_checker.h: visits every state that a small model of a protocol can reach, breadth first.
//
// Shape    initial -> each step of each actor -> each step of that … ; a state is visited once
// A model  has  State               trivially copyable, without padding, its size a multiple of 8
//               initial()           the first State
//               for_each_step(s, visit)   calls visit(next, label) for each step enabled in s
//               broken(s)           nullptr, or what is wrong with s
//               broken_at_rest(s)   the same, asked only where no step is enabled
//               describe(label)     one line of a trace
// Limits   states_max; an exploration that meets it says so in `complete`
// I1  breadth first, so a trace is a shortest one     I2  states are compared by their bytes, never by hash alone
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace holdfast::sim {

struct Exploration {
    std::size_t states = 0;
    std::size_t steps = 0;
    std::size_t resting = 0;  // states without an enabled step
    std::size_t depth = 0;    // longest shortest way to a state, in steps
    bool complete = true;
    std::string broken;              // empty: nothing is wrong in any state
    std::vector<std::string> trace;  // the steps that lead to what is broken
};

// Every state met so far, each with the state it was first reached from.
template <class State>
class StateSet {
    static_assert(std::has_unique_object_representations_v<State>, "padding would make equal states differ");
    static_assert(sizeof(State) % 8 == 0, "states are hashed eight bytes at a time");

public:
    static constexpr std::uint32_t none = 0xffffffffU;

    std::size_t size() const { return states_.size(); }
    const State& state(std::uint32_t at) const { return states_[at]; }
    std::uint32_t parent(std::uint32_t at) const { return parents_[at]; }

    bool add(const State& state, std::uint32_t parent) {
        if ((states_.size() + 1) * 2 > slots_.size()) grow();
        const std::uint64_t hash = hash_of(state);
        for (std::size_t slot = hash & mask();; slot = (slot + 1) & mask()) {
            const std::uint32_t at = slots_[slot];
            if (at == none) {
                slots_[slot] = static_cast<std::uint32_t>(states_.size());
                states_.push_back(state);
                parents_.push_back(parent);
                hashes_.push_back(hash);
                return true;
            }
            if (hashes_[at] == hash && std::memcmp(&states_[at], &state, sizeof(State)) == 0) return false;
        }
    }

private:
    std::size_t mask() const { return slots_.size() - 1; }

    static std::uint64_t hash_of(const State& state) {
        const char* bytes = reinterpret_cast<const char*>(&state);
        std::uint64_t hash = 0x9e3779b97f4a7c15U;
        for (std::size_t at = 0; at < sizeof(State); at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes + at, 8);
            hash = std::rotl((hash ^ word) * 0xff51afd7ed558ccdU, 29);
        }
        return hash ^ (hash >> 32);
    }

    void grow() {
        slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, none);
        for (std::uint32_t at = 0; at < states_.size(); ++at) {
            std::size_t slot = hashes_[at] & mask();
            while (slots_[slot] != none) slot = (slot + 1) & mask();
            slots_[slot] = at;
        }
    }

    std::vector<State> states_;
    std::vector<std::uint32_t> parents_;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint32_t> slots_;  // open addressing, a power of two, at most half full
};

template <class Model>
std::vector<std::string> trace_to(const Model& model, const StateSet<typename Model::State>& met, std::uint32_t last) {
    using State = typename Model::State;
    std::vector<std::uint32_t> way;
    for (std::uint32_t at = last; at != StateSet<State>::none; at = met.parent(at)) way.push_back(at);
    std::vector<std::string> lines;
    for (std::size_t at = way.size(); at-- > 1;) {
        std::string line;
        const State& wanted = met.state(way[at - 1]);
        model.for_each_step(met.state(way[at]), [&](const State& next, auto label) {
            if (line.empty() && std::memcmp(&next, &wanted, sizeof(State)) == 0) line = model.describe(label);
        });
        lines.push_back(line);
    }
    return lines;
}

// Stops at the first state that is broken.
template <class Model>
Exploration explore(const Model& model, std::size_t states_max) {
    using State = typename Model::State;
    StateSet<State> met;
    Exploration found;
    met.add(model.initial(), StateSet<State>::none);
    std::size_t level_end = 1;
    for (std::uint32_t at = 0; at < met.size(); ++at) {
        if (at == level_end) {
            ++found.depth;
            level_end = met.size();
        }
        if (met.size() > states_max) {
            found.complete = false;
            break;
        }
        const State state = met.state(at);
        const char* wrong = model.broken(state);
        std::size_t steps = 0;
        if (wrong == nullptr) {
            model.for_each_step(state, [&](const State& next, auto) {
                ++steps;
                met.add(next, at);
            });
            found.steps += steps;
            if (steps == 0) {
                ++found.resting;
                wrong = model.broken_at_rest(state);
            }
        }
        if (wrong != nullptr) {
            found.broken = wrong;
            found.trace = trace_to(model, met, at);
            break;
        }
    }
    found.states = met.size();
    return found;
}

}  // namespace holdfast::sim
