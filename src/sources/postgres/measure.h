// sources/postgres/measure.h: the facts of a live server, counted by the code that counts them in a capture.
//
// Errors   target_failed
// Threads  reads tables over a few sessions at a time
#pragma once

#include <string>
#include <vector>

#include "source/source.h"
#include "sources/postgres/toc.h"

namespace holdfast::postgres {

// schema, privileges, large objects and sequences of a database whose folder is `item`.
std::vector<Fact> facts_of_toc(const Toc& toc, const std::string& item);

Facts measure(const MeasureRequest& request);
std::string query_value(World& world, const std::string& target, const std::string& text, Nanoseconds limit);

}  // namespace holdfast::postgres
