// sources/mongodb/measure.h: counts and hashes what is at a server, and asks it things.
//
// Errors   target_failed
#pragma once

#include <string>

#include "source/source.h"

namespace holdfast::mongodb {

Facts measure(const MeasureRequest& request);
// `text`: a command as JSON, such as {"count": "orders", "query": {"state": "paid"}}, for the database of the URL.
std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit);

}  // namespace holdfast::mongodb
