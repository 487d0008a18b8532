// source/option_values.h: what the options of a source or a restore say.
//
// Errors   usage from present_of()
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "source/source.h"

namespace holdfast {

// The first value; empty: it is not given.
std::string option_text(const SourceOptions& options, std::string_view name);
std::vector<std::string> option_list(const SourceOptions& options, std::string_view name);

// It stands for its value and is not resolved yet: the configuration is only looked at.
bool is_unresolved(std::string_view value);

// What becomes of what is at a server already, by --existing. Of parts (tables, collections, keys) each source says what
// missing and replace mean.
enum class Present : std::uint8_t { fail, drop, missing, replace };
Present present_of(const SourceOptions& options);

}  // namespace holdfast
