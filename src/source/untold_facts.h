// source/untold_facts.h: what a capture or a measurement could not tell, so that a comparison says NOT TESTED, with the
// reason, and neither that it differs nor nothing at all.
//
// Shape    a fact "about no NAME" among those that were found, of what was captured; or among those that were captured, of
//          what has no fact at all. A fact "about NAME": counted, and changed before the capture's end
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "source/facts.h"

namespace holdfast {

Fact untold(const std::string& item, std::string_view name, const std::string& reason);
std::optional<std::string> why_untold(const Facts& found, const std::string& item, std::string_view name);
// What changed while it was captured, as the restore knows that it must have come out.
Facts completed(const Facts& captured, const Facts& restored);

// A line for each thing that the capture itself has no fact of. They lower no level and no result, which speak of facts.
// `only`: as compare_facts() takes it.
std::vector<CheckLine> lines_of_untold(const Facts& captured, const std::vector<std::string>& only);

}  // namespace holdfast
