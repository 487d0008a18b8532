// app/source_options.h: options of source types on the command line.
#pragma once

#include "app/command.h"
#include "source/source.h"

namespace holdfast::app {

// "exclude_larger" is offered as --exclude-larger; what is given lands in `given`, which must outlive `options`.
void add_source_option(SourceOptions& given, Options& options, const SourceOption& option);

}  // namespace holdfast::app
