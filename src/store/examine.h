// store/examine.h: how a store is to be examined.
#pragma once

#include <string>

#include "base/observation.h"

namespace holdfast {

struct ExaminePlan {
    std::string own_object = {};  // is there, and this key may put such: tried again, with its own bytes
    bool removes = false;         // this key's role does
};

}  // namespace holdfast
