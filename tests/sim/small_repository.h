// tests/sim/small_repository.h: a repository in memory, filled by a few lines, for tests of the verbs on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/back_up.h"
#include "engine/restore.h"
#include "repo/names.h"
#include "store/decorator.h"
#include "testing/memory_source.h"
#include "testing/memory_store.h"
#include "testing/sim_world.h"

namespace holdfast::testing_support {

// Many clients of one store: each gets a handle to own.
class StoreHandle final : public StoreDecorator {
public:
    explicit StoreHandle(Store& store) : StoreDecorator(store) {}
};

inline repo::Unlock test_key() {
    return {repo::Unlock::Way::keyfile, Secret(as_bytes("a key file of thirty-two bytes or more"))};
}

struct SmallRepository {
    explicit SmallRepository(std::uint64_t seed = 1) : sim(seed), store(sim.clock) {
        repo::Repository::init(store, test_key(), {}, sim.world());
    }
    std::unique_ptr<repo::Repository> open(const std::string& client_folder = "") {
        return repo::Repository::open(std::make_unique<StoreHandle>(store), test_key(), {client_folder}, sim.world());
    }
    repo::Snapshot back_up(repo::Repository& repository, const MemoryTree& tree, const std::string& source = "memory") {
        sim.clock.advance(3600 * one_second);
        MemorySource from(tree, source);
        engine::Progress progress;
        return engine::back_up(from, repository, {{{"kind", "test"}}, "host", false, false}, progress).snapshot;
    }
    repo::Snapshot back_up(const MemoryTree& tree, const std::string& source = "memory") {
        return back_up(*open(), tree, source);
    }
    // Changes one byte of an object.
    void flip(const std::string& name, std::size_t at) {
        Bytes bytes = *store.read(name);
        bytes.at(at) ^= 0x20;
        store.overwrite(name, std::move(bytes));
    }

    SimWorld sim;
    MemoryStore store;
};

inline std::map<std::string, std::string> restored(repo::Repository& repository, const repo::SnapshotId& snapshot) {
    MemoryTarget target;
    engine::Progress progress;
    engine::RestorePlan plan;
    plan.snapshot = snapshot;
    engine::restore(repository, plan, target, progress);
    return target.files;
}

// Bytes that do not compress, the same for the same number.
inline std::string noise(std::uint64_t number, std::size_t bytes) {
    SimRandom random(number);
    std::string out(bytes, '\0');
    random.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
    return out;
}

}  // namespace holdfast::testing_support
