#include "source/served.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast {

bool is_among(std::span<const std::string> patterns, const std::string& name) {
    return std::ranges::any_of(patterns,
                               [&](const std::string& each) { return each == name || glob_match(each, name); });
}

}  // namespace holdfast
