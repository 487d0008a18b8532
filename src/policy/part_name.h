// policy/part_name.h: the names of what a source consists of: "carts.5461" is a master of the cluster "carts".
#pragma once

#include <string_view>

namespace holdfast::policy {

// "carts"; any other name is its own.
std::string_view whole_of(std::string_view part);

}  // namespace holdfast::policy
