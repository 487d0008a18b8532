#include "collection_settings.h"

#include <algorithm>
#include <cstdlib>

namespace holdfast::sim {

Setting one_lane() {
    Setting s;
    s.processes[0] = Process{0, 1, 2};
    s.rounds = {1, 1};
    s.holds = {x, x, x, x, x, x, x, x};
    s.needs = {x, x, x, x, x};
    s.packs = bit(0);
    s.forgettable = bit(0);
    s.crashes = 1;
    return s;
}

Setting one_collector() {
    Setting s = one_lane();
    s.rounds = {1, 0};
    return s;
}

Setting one_session() {
    Setting s = one_lane();
    s.processes[0].last = 1;
    s.rounds = {1, 0};
    s.crashes = 0;
    return s;
}

Setting one_session_two_collectors() {
    Setting s = one_session();
    s.rounds = {1, 1};
    return s;
}

Setting one_session_three_collections() {
    Setting s = one_session();
    s.packs |= bit(1);
    s.rounds = {2, 1};
    return s;
}

Setting shared_lane() {
    Setting s = one_lane();
    s.processes[0] = Process{0, 1, 1};
    s.processes[1] = Process{0, 2, 2};
    s.crashes = 0;
    return s;
}

Setting shared_lane_one_collector() {
    Setting s = shared_lane();
    s.rounds = {1, 0};
    return s;
}

Setting enrolled() {
    Setting s = one_lane();
    s.processes[0] = Process{1, 1, 1, Kind::enrol, 0};
    s.processes[1] = Process{2, 2, 2, Kind::lane, 1};
    s.rounds = {1, 0};
    return s;
}

Setting enrolled_without_crash() {
    Setting s = enrolled();
    s.crashes = 0;
    return s;
}

Setting copying() {
    Setting s = one_session_two_collectors();
    s.fixed_logs = bit(0) | bit(1);
    s.copier_log = 1;
    s.holds[0] = x | y;
    s.holds[2] = s.needs[1] = y;
    return s;
}

Setting copying_slowly() {
    Setting s = copying();
    s.holds[0] = s.holds[2] = s.needs[1] = x;
    s.rounds = {1, 2};
    s.refuses = s.uploads = false;
    return s;
}

Setting copying_alone() {
    Setting s = copying();
    s.processes[0] = Process{};
    s.packs |= bit(1);
    return s;
}

Setting of_its_own() {
    Setting s = one_collector();
    s.needs[1] = s.needs[2] = s.holds[2] = s.holds[3] = y;
    s.refuses = false;
    return s;
}

Setting of_its_own_refusing() {
    Setting s = of_its_own();
    s.refuses = true;
    s.at_rest = false;
    return s;
}

Setting two_kinds() {
    Setting s = one_collector();
    s.needs[1] = s.holds[2] = y;
    s.crashes = 0;
    return s;
}

int scale() {
    const char* text = std::getenv("HOLDFAST_SIM_SCALE");
    return std::clamp(text == nullptr ? 1 : std::atoi(text), 1, 3);
}

std::string as_text(const Exploration& found) {
    std::string text = found.broken + "\n";
    for (const std::string& step : found.trace) text += "    " + step + "\n";
    return text;
}

}  // namespace holdfast::sim
