// sources/postgres/measure.h: the facts of a live server, counted by the code that counts them in a capture.
//
// Errors   target_failed
// Threads  reads tables over a few sessions at a time
#pragma once

#include <string>

#include "source/source.h"

namespace holdfast::postgres {

Facts measure(const MeasureRequest& request);
std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit);

}  // namespace holdfast::postgres
