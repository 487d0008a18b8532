// engine/back_up.h: the verb that makes a snapshot of a source.
//
// Errors   denied (nothing is written), source_failed (nothing is committed), unreachable, no_space, fenced, cancelled
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/progress.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::engine {

struct BackupPlan {
    std::map<std::string, std::string> tags;
    std::string host;
    bool dry_run = false;                  // read and count, write nothing
    bool reread = false;                   // take nothing as unchanged by its version
    std::optional<Nanoseconds> time = {};  // what the snapshot is of; without it, now
    std::string domain = {};               // of deduplication; empty: the key's own
};

struct BackupReport {
    repo::Snapshot snapshot;  // its id is zero in a dry run
    double seconds = 0;
    std::vector<Finding> findings;
};

// Denied where this key may not write what is of a source; `what` it would do: "back up".
void require_right_to_write(const repo::Keyring& keys, const std::string& source, const char* what);

BackupReport back_up(Source& source, repo::Repository& repository, const BackupPlan& plan, Progress& progress);

}  // namespace holdfast::engine
