// app/deployed.h: files that `deploy` makes for somebody else to run.
//
// Errors   denied, no_space; usage without a configuration
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

// The path of the configuration, whose jobs are deployed.
std::string needed_config(Context& context);

void warn_of_jobs_without_schedule(Context& context);
// What a job asks for and only `serve` does, `more` too: nothing of it is left out without a word.
void warn_of_what_only_serve_does(Context& context, const policy::Job& job, std::vector<std::string> more);

// So long all attempts may take that are made of one due time, with the pauses in between.
Nanoseconds attempts_take_max(const policy::Job& job, Nanoseconds attempt, Nanoseconds pause);

}  // namespace holdfast::app
