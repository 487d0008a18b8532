// app/app.h: the program: parses, runs one verb, says what went wrong.
#pragma once

#include <string>
#include <vector>

namespace holdfast::app {

// argv as main() got it; returns the exit status. Nothing is thrown.
int run(const std::vector<std::string>& argv);

}  // namespace holdfast::app
