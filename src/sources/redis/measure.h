// sources/redis/measure.h: counts and hashes what a server or a data folder holds, as a capture does.
//
// Errors   target_failed
#pragma once

#include "source/source.h"

namespace holdfast::redis {

Facts measure(const MeasureRequest& request);
// "GET user:1", or any other command; texts in quotes may hold blanks.
std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit);

}  // namespace holdfast::redis
