// app/source_options.h: options of source types, on the command line and as they are configured.
#pragma once

#include "app/command.h"
#include "app/config.h"
#include "source/source.h"

namespace holdfast::app {

// "exclude_larger" is offered as --exclude-larger; what is given lands in `given`, which must outlive `options`.
void add_source_option(SourceOptions& given, Options& options, const SourceOption& option);

// Of what is configured for a source, if it is, what holds for its snapshots on this machine, too.
SourceOptions machine_options(const SourceType& type, const Config& config, const std::string& source);

}  // namespace holdfast::app
