// app/environment.h: `--to staging`: where a source is restored to in an environment of the configuration.
//
// Errors   usage when the environment has no place for the source; target_failed when it points at the source itself
#pragma once

#include <optional>
#include <string>

#include "app/context.h"
#include "source/facts.h"
#include "source/source.h"

namespace holdfast::app {

// The place that `name` means for a source; nothing when there is no environment of this name. `source`: nothing: the
// only one that the environment knows.
std::optional<std::string> place_in_environment(Context& context, const std::string& name,
                                                const std::optional<std::string>& source);

// An environment is never production: whatever the snapshot was made of is refused.
void refuse_the_source(Context& context, const SourceType& type, const repo::Snapshot& snapshot,
                       const std::optional<Facts>& facts, const std::string& environment, const std::string& target);

}  // namespace holdfast::app
