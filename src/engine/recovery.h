// engine/recovery.h: how long restores and proofs of a source took until its data was back, as their signed notes say.
//
// Errors   none: a note that cannot be read says nothing
#pragma once

#include <string>
#include <vector>

#include "repo/repository.h"

namespace holdfast::engine {

// Seconds, newest first; of those that went well and brought back more than half of a snapshot.
std::vector<double> recovery_seconds(const repo::Repository& repository, const std::string& source);

}  // namespace holdfast::engine
