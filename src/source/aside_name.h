// source/aside_name.h: what a database is called while another one has its place: "shop_before_20260301T041000Z".
//
// Shape    aside_prefix() is what all such names of one database and word begin with; the newest sorts last
// Limits   63 bytes, as servers have it: they would cut a longer name, and not say so
#pragma once

#include <string>
#include <string_view>

#include "base/world.h"

namespace holdfast {

std::string aside_prefix(const std::string& name, std::string_view word);
std::string aside_name(const std::string& name, std::string_view word, Nanoseconds now);

}  // namespace holdfast
