// app/versions.h: the old versions of what lies in a repository's store.
//
// Errors   what opening the store throws
#pragma once

#include <memory>

#include "app/registry.h"
#include "store/versions.h"

namespace holdfast::app {

// Null: such a store never keeps any.
std::unique_ptr<Versions> open_versions(const StorePlace& place, World& world, const RetryBudget& budget);

}  // namespace holdfast::app
