// app/help.h: what `--help` prints, made from the commands' own tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"

namespace holdfast::app {

// `name`: "" for all verbs, "key" for a group, "backup" for one.
std::string help_text(const std::vector<Command>& commands, const Options& globals, std::string_view name);

// "holdfast backup [OPTIONS] [SOURCE…]"
std::string usage_line(const Command& command);
// "-t, --tag KEY=VALUE"
std::string option_text(const Option& option);
std::string_view title_of(Part part);

struct ExitLine {
    int status;
    std::string text;
};
std::vector<ExitLine> exit_lines();  // from the table of codes, each status once

// The same for every verb: what the environment can say.
struct Variable {
    std::string_view name;
    std::string_view says;
};
std::vector<Variable> environment_variables();

}  // namespace holdfast::app
