// app/config_jobs.h: the sections `retention` and `jobs` of the configuration.
#pragma once

#include "app/config_yaml.h"

namespace holdfast::app {

struct JobSections {
    YAML::Node retention{YAML::NodeType::Undefined};
    YAML::Node jobs{YAML::NodeType::Undefined};
};

// After repositories and sources, which jobs name.
void read_jobs(const JobSections& sections, std::span<const SourceType* const> types, ParsedConfig& out);

}  // namespace holdfast::app
