// store/examine.h: how a store is to be examined.
#pragma once

#include <optional>
#include <string>

#include "base/observation.h"

namespace holdfast {

struct ExaminePlan {
    std::string own_object = {};       // is there, and this key may put such: tried again, with its own bytes
    std::optional<bool> removes = {};  // does this key's role? Nothing: it is not known
};

}  // namespace holdfast
