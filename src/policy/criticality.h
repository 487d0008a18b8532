// policy/criticality.h: how bad it is to lose a source. Plain data.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast::policy {

// The worst first: of jobs that wait for a slot, those of more critical sources start first.
enum class Criticality : std::uint8_t { critical, high, normal, low };
inline constexpr std::array<std::string_view, 4> criticality_names{"critical", "high", "normal", "low"};
constexpr std::string_view name_of(Criticality value) { return criticality_names[static_cast<std::size_t>(value)]; }

}  // namespace holdfast::policy
