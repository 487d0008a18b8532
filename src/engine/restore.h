// engine/restore.h: the verb that brings a snapshot, or a part of it, back.
//
// Errors   target_failed, no_space, corrupt (with what could not be read), not_found (nothing matches)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/progress.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::engine {

struct RestorePlan {
    repo::SnapshotId snapshot;
    std::vector<std::string> include;  // item paths or globs; empty: all
    std::vector<std::string> exclude;
    std::string below;  // only this folder and what is in it; its contents go to the target itself
    // Items that come along with what is wanted of a top folder, though they were not asked for.
    std::function<bool(std::string_view path, std::string_view top)> along = {};
};

// What a restore would do (`--plan`).
struct RestoreForecast {
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;          // to write
    std::uint64_t bytes_to_read = 0;  // from the store
    std::uint64_t packs = 0;
    std::uint64_t requests = 0;
};

struct RestoreReport {
    double seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    Rebuild::Summary rebuilt;
    std::vector<Finding> damaged;  // items whose bytes could not be had
};

RestoreForecast forecast(repo::Repository& repository, const RestorePlan& plan);
RestoreReport restore(repo::Repository& repository, const RestorePlan& plan, Rebuild& rebuild, Progress& progress);

}  // namespace holdfast::engine
