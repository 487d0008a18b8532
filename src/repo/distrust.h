// repo/distrust.h: packs that a check on this machine found damaged.
//
// Shape    `<client folder>/damaged/<repository>`: one id a line. Backups of this machine store anew what lies in them
// Errors   none: what cannot be read is empty, what cannot be written is a warning
#pragma once

#include <set>

#include "repo/repository.h"

namespace holdfast::repo {

std::set<PackId> read_distrusted(const Repository& repository);
void write_distrusted(const Repository& repository, const std::set<PackId>& packs);

}  // namespace holdfast::repo
