// app/check_plan.h: how much of the packs a check reads, as `--read-data` says.
#pragma once

#include <optional>
#include <string>

#include "app/command.h"
#include "engine/maintain.h"

namespace holdfast::app {

void add_read_data_option(Options& options, std::optional<std::string>& read_data);
engine::CheckPlan check_plan(const std::optional<std::string>& read_data);

}  // namespace holdfast::app
