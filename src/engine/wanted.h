// engine/wanted.h: the items of a snapshot that a restore is about.
//
// Errors   not_found when there is no such snapshot, or nothing in it matches; corrupt, unreachable
#pragma once

#include <functional>

#include "engine/restore.h"
#include "repo/tree.h"

namespace holdfast::engine {

const repo::Snapshot& snapshot_of(repo::Repository& repository, const repo::SnapshotId& id);

// Walks the wanted items of a plan in tree order, until `each` returns false. A part keeps the folders that lead
// to it.
void walk_wanted(repo::Repository& repository, const RestorePlan& plan,
                 const std::function<bool(repo::TreeEntry&&)>& each);

}  // namespace holdfast::engine
