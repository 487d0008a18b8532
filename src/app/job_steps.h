// app/job_steps.h: a job as the commands that it stands for, the very ones that a user could type. Pure.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "policy/job.h"

namespace holdfast::app {

struct JobStep {
    std::string repository;          // -r; empty: the configuration's only one
    std::vector<std::string> words;  // the verb and what follows it
};

std::vector<JobStep> steps_of(const policy::Job& job, const Config& config, Nanoseconds now);
// The copies of what a backup job has made, now and before; one that fails leaves the job done in part.
std::vector<JobStep> copies_of(const policy::Job& job, const Config& config);

std::string text_of(const JobStep& step);  // "holdfast -r main backup orders-db"

}  // namespace holdfast::app
