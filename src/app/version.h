// app/version.h: what this program calls itself.
#pragma once

#include <string_view>

namespace holdfast::app {

constexpr std::string_view version = HF_VERSION;  // the project's, given by cmake/install.cmake

}  // namespace holdfast::app
