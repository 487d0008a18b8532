// engine/check_versions.h: names of the repository that were written more than once.
//
// Shape    nothing of a repository is ever written over, so where a store keeps versions, the oldest of a name is the truth;
//          versions that differ from it are findings
// Errors   none of the store's: what cannot be found out is not tested, with the reason
// Source   review.md A6
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/maintain.h"
#include "store/versions.h"

namespace holdfast::engine {

struct VersionsReport {
    std::vector<Damage> replaced;
    std::optional<std::string> not_tested;  // why
};
VersionsReport check_versions(Versions& store);

}  // namespace holdfast::engine
