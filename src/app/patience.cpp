#include "app/patience.h"

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

Nanoseconds patience_or(Nanoseconds usual) {
    const char* const text = std::getenv("HOLDFAST_PATIENCE");
    if (text == nullptr || *text == '\0') return usual;
    const auto given = parse_duration(text);
    if (!given) throw Error{Code::usage, "HOLDFAST_PATIENCE is no duration: {}", text}.hint("Write it as `5m`.");
    return *given;
}

}  // namespace holdfast::app
