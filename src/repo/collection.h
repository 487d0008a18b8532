// repo/collection.h: giving back space without ever blocking or harming a writer.
//
// Shape    gc/<n>/condemned names packs; STAMP(n) in every log; wait for sessions opened before; mark again;
//          gc/<n>/verdict names the spared; delete the rest. Any step may be redone by anyone.
// Errors   unreachable, corrupt (a snapshot's tree cannot be read: then nothing is collected)
// Threads  one thread
// Source   doc/format/collection.md (G1 to G4), held by tests/sim/collection_model_test.cpp
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "repo/index.h"
#include "repo/repository.h"

namespace holdfast::repo {

struct Condemned {
    std::uint64_t number = 0;
    std::vector<PackRef> packs;
};
struct CollectionVerdict {
    std::uint64_t number = 0;
    std::vector<PackId> spared;
};
std::optional<Condemned> read_condemned(Store& store, const Keyring& keys, std::uint64_t number);
std::optional<CollectionVerdict> read_verdict(Store& store, const Keyring& keys, std::uint64_t number);

// Packs of the collections after `before`, up to `last`, that were not spared: gone, or about to be.
std::set<PackId> condemned_packs(Store& store, const Keyring& keys, std::uint64_t before, std::uint64_t last);

}  // namespace holdfast::repo
