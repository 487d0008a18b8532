// app/forget_simulation.h: `forget --simulate`: what schedules and retention will have kept.
//
// Errors   usage when nothing says when backups are made, or what is kept
#pragma once

#include <optional>
#include <string>

#include "app/context.h"
#include "policy/retention.h"
#include "policy/schedule.h"

namespace holdfast::app {

struct ForgetSimulation {
    Nanoseconds length = 0;
    std::optional<std::string> source;         // only this one's
    std::optional<policy::Retention> keep;     // instead of the jobs' retention
    std::optional<policy::Schedule> schedule;  // instead of the jobs' schedules
};
int simulate_forget(Context& context, const repo::Repository& repository, const ForgetSimulation& simulation);

}  // namespace holdfast::app
