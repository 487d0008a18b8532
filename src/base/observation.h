// base/observation.h: what somebody who looks after a store or a source should know of it, and what to do about it.
//
// Shape    each kind examines itself; an observation says what was looked at, how bad it is, and the way out
// Errors   none: what cannot be found out is `not_tested`, with the reason
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

enum class Severity : std::uint8_t { good, not_tested, warning, error };
constexpr std::string_view name_of(Severity severity) {
    switch (severity) {
        case Severity::good:
            return "good";
        case Severity::not_tested:
            return "not_tested";
        case Severity::warning:
            return "warning";
        case Severity::error:
            return "error";
    }
    return "";
}

struct Observation {
    std::string what;  // "clock", "versioning"
    Severity severity = Severity::good;
    std::string text;
    std::string fix = {};
};
using Observations = std::vector<Observation>;

}  // namespace holdfast
