// tests/sim/filled_repository.h: a repository in memory, filled by a few lines, for tests of the verbs on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/back_up.h"
#include "engine/maintain.h"
#include "engine/restore.h"
#include "repo/names.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast::testing_support {

class FilledRepository : public SmallRepository {
public:
    using SmallRepository::SmallRepository;
    // An hour later.
    repo::Snapshot back_up(repo::Repository& repository, const MemoryTree& tree, const std::string& source = "memory") {
        sim.clock.advance(3600 * one_second);
        MemorySource from(tree, source);
        engine::Progress progress;
        return engine::back_up(from, repository, {{{"kind", "test"}}, "host", false, false}, progress).snapshot;
    }
    repo::Snapshot back_up(const MemoryTree& tree, const std::string& source = "memory") {
        return back_up(*open(), tree, source);
    }
};

// Files that are damaged are left out.
inline std::map<std::string, std::string> restored(repo::Repository& repository, const repo::SnapshotId& snapshot) {
    MemoryTarget target;
    engine::Progress progress;
    engine::RestorePlan plan;
    plan.snapshot = snapshot;
    engine::restore(repository, plan, target, progress);
    return target.files;
}

inline engine::CheckReport check(repo::Repository& repository, const engine::CheckPlan& plan = {}) {
    engine::Progress progress;
    return engine::check(repository, plan, progress);
}
inline engine::CheckReport read_all(repo::Repository& repository) { return check(repository, {true, {}, {}}); }

inline std::string all_of(const engine::CheckReport& report) {
    std::string out;
    for (const engine::Damage& damage : report.errors)
        out += damage.object + ": " + damage.kind + ": " + damage.effect + "\n";
    return out;
}

}  // namespace holdfast::testing_support
