// app/deployed.h: files that `deploy` makes for somebody else to run.
//
// Errors   denied, no_space
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/context.h"

namespace holdfast::app {

struct DeployedFile {
    std::string name;
    std::string text;
    bool executable = false;
};

// Into the folder; without one they are printed, each below `separator`, in which {} is its name.
void write_out(Context& context, const std::vector<DeployedFile>& files, const std::string& folder,
               std::string_view separator);

}  // namespace holdfast::app
