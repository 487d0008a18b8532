#include "policy/clock_jump.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"

namespace holdfast::policy {

namespace {

std::optional<Nanoseconds> number(const std::string& text) {
    Nanoseconds out = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

}  // namespace

Nanoseconds jump_between(const ClockMark& before, const ClockMark& now) {
    // Nothing in a machine that was started anew says how long it was off; that it went back is plain all the same.
    const bool same_boot = !before.boot.empty() && before.boot == now.boot;
    const Nanoseconds passed = same_boot ? now.steady - before.steady : 0;
    const Nanoseconds jump = (now.wall - before.wall) - passed;
    if (jump < -clock_jump_max) return jump;
    return same_boot && jump > clock_jump_max ? jump : 0;
}

std::string text_of(const ClockMark& mark) { return fmt::format("{} {} {}\n", mark.boot, mark.steady, mark.wall); }

std::optional<ClockMark> parse_clock_mark(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const std::vector<std::string> parts = split(text, ' ');
    if (parts.size() != 3) return std::nullopt;
    const auto steady = number(parts[1]);
    const auto wall = number(parts[2]);
    if (!steady || !wall) return std::nullopt;
    return ClockMark{parts[0], *steady, *wall};
}

}  // namespace holdfast::policy
