// policy/expect.h: what a check expects of a value: ">0", ">=10", "<5", "=0", "!=", "~^ok", or the text itself. Pure.
//
// Shape    numbers are compared as numbers where both sides are; "~" is a regular expression that must be found
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::policy {

// Nothing when `expectation` makes sense, else why it does not.
std::optional<std::string> problem_with_expectation(std::string_view expectation);
bool meets(std::string_view value, std::string_view expectation);

}  // namespace holdfast::policy
