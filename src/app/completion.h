// app/completion.h: what a shell must know to complete command lines, and the man page.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"

namespace holdfast::app {

std::string bash_completion(const std::vector<Command>& commands, const Options& globals);
std::string zsh_completion(const std::vector<Command>& commands, const Options& globals);
std::string fish_completion(const std::vector<Command>& commands, const Options& globals);

std::string man_page(const std::vector<Command>& commands, const Options& globals);

}  // namespace holdfast::app
