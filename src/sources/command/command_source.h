// sources/command/command_source.h: what a command prints, or what comes on our own standard input, as one
// item.
//
// Shape    `command:NAME -- CMD ARGS…`; CMD "-" is standard input. The item is NAME, restored as TARGET/NAME
// Errors   config for options that make no sense. source_failed, from Capture::finish(), when the command did
//          not exit 0, took longer than `timeout`, or printed nothing without `allow_empty`: then nothing is
//          committed
#pragma once

#include "source/source.h"

namespace holdfast {

extern const SourceType command_source_type;

}  // namespace holdfast
