// engine/facts.h: the facts of a snapshot, as chunks of its repository.
//
// Errors   corrupt, unreachable, denied (this key reads no data)
#pragma once

#include <optional>
#include <vector>

#include "repo/pack_writer.h"
#include "repo/repository.h"
#include "source/facts.h"

namespace holdfast::engine {

std::vector<repo::ChunkId> store_facts(repo::PackWriter& packs, const Facts& facts);
// Nothing when the source of the snapshot counts nothing.
std::optional<Facts> read_facts(repo::Repository& repository, const repo::Snapshot& snapshot);

}  // namespace holdfast::engine
