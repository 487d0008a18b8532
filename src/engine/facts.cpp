#include "engine/facts.h"

#include <algorithm>

namespace holdfast::engine {

namespace {

constexpr std::size_t piece_bytes = 1024 * 1024;

}  // namespace

std::vector<repo::ChunkId> store_facts(repo::PackWriter& packs, const Facts& facts) {
    const Bytes bytes = encode_facts(facts);
    std::vector<repo::ChunkId> out;
    for (std::size_t at = 0; at < bytes.size(); at += piece_bytes)
        out.push_back(packs.add(ByteView(bytes).subspan(at, std::min(piece_bytes, bytes.size() - at))).id);
    return out;
}

std::optional<Facts> read_facts(repo::Repository& repository, const repo::Snapshot& snapshot) {
    if (snapshot.facts.empty()) return std::nullopt;
    Bytes bytes;
    for (const repo::ChunkId& piece : snapshot.facts) append(bytes, repository.chunks().read(piece));
    return decode_facts(bytes);
}

}  // namespace holdfast::engine
