#include "policy/part_name.h"

namespace holdfast::policy {

std::string_view whole_of(std::string_view part) {
    const std::size_t dot = part.rfind('.');
    const bool is_number = dot != std::string_view::npos && dot + 1 < part.size() &&
                           part.find_first_not_of("0123456789", dot + 1) == std::string_view::npos;
    return is_number ? part.substr(0, dot) : part;
}

}  // namespace holdfast::policy
