// app/parse.h: what a command line asks for.
//
// Errors   usage, with the nearest right name as a hint
#pragma once

#include <string>
#include <vector>

#include "app/command.h"

namespace holdfast::app {

struct Call {
    const Command* command = nullptr;  // of `commands`; nothing: only help of `help_for` is wanted, or the version
    bool wants_help = false;
    bool wants_version = false;
    std::string help_for;                   // "", "key" or "backup"
    std::vector<std::string> command_line;  // what followed "--", for a command that takes it
};

// Sets the targets of the global options and of the command's. `words`: without the program's name.
Call parse(const std::vector<Command>& commands, const Options& globals, const std::vector<std::string>& words);

// True when errors are wanted as JSON; known before parsing, which may be what fails.
bool wants_json(const std::vector<std::string>& words);

}  // namespace holdfast::app
