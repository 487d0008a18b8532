// app/errors_page.h: doc/errors.md, made from the table of codes.
#pragma once

#include <string>

namespace holdfast::app {

std::string errors_page();

}  // namespace holdfast::app
