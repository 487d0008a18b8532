// engine/restore.h: the verb that brings a snapshot, or a part of it, back.
//
// Errors   target_failed, no_space, corrupt (with what could not be read), not_found (nothing matches)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/progress.h"
#include "engine/windows.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::engine {

// What of a source's journal comes after its base.
struct JournalPart {
    std::size_t begin = 0;  // segments() of the journal as it was read
    std::size_t end = 0;
    ReplayRequest request;
};

struct RestorePlan {
    repo::SnapshotId snapshot;
    std::vector<std::string> include;  // item paths or globs; empty: all
    std::vector<std::string> exclude;
    std::string below;  // only this folder and what is in it; its contents go to the target itself
    // Items that come along with what is wanted of a top folder, though they were not asked for.
    std::function<bool(std::string_view path, std::string_view top)> along = {};
    std::shared_ptr<repo::Journal> journal = {};  // null: the snapshot as it is
    JournalPart part = {};
};

// What a restore would do (`--plan`).
struct RestoreForecast {
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;          // to write
    std::uint64_t bytes_to_read = 0;  // from the store
    std::uint64_t packs = 0;
    std::uint64_t requests = 0;
    std::uint64_t journal_records = 0;  // at most
};

struct RestoreReport {
    double seconds = 0;
    std::uint64_t items = 0;
    std::uint64_t bytes = 0;
    Rebuild::Summary rebuilt;
    std::optional<Replay::Summary> replayed;
    std::vector<Finding> damaged;  // items whose bytes could not be had
};

RestoreForecast forecast(repo::Repository& repository, const RestorePlan& plan);
RestoreReport restore(repo::Repository& repository, const RestorePlan& plan, Rebuild& rebuild, Progress& progress);

}  // namespace holdfast::engine
