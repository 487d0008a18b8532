#include "testing/sim_world.h"

#include <algorithm>

namespace holdfast {

void SimRandom::fill(MutableByteView out) {
    const std::lock_guard lock(mutex_);
    while (!out.empty()) {
        const std::uint64_t number = engine_();
        const std::size_t count = std::min(out.size(), sizeof number);
        std::memcpy(out.data(), &number, count);
        out = out.subspan(count);
    }
}

bool SimRandom::chance(double probability) {
    if (probability <= 0) return false;  // asks nothing, so that a knob at 0 does not shift what follows
    return static_cast<double>(number() >> 11) * 0x1p-53 < probability;
}

void LogLines::write(Level level, std::string_view text) {
    const std::lock_guard lock(mutex_);
    lines_.push_back({level, std::string(text)});
}

std::vector<LogLines::Line> LogLines::lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
}

bool LogLines::contains(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(lines_, [&](const Line& line) { return line.text.find(text) != std::string::npos; });
}

void LogLines::clear() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
}

}  // namespace holdfast
