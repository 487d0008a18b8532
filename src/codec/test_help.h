// codec/test_help.h: what tests of cuts share; for the tests of this layer.
#pragma once

#include <set>
#include <vector>

#include "codec/chunker.h"
#include "crypto/test_help.h"

namespace holdfast::codec {

using crypto::noise;  // the data of the golden cuts in doc/format/chunks.md

inline constexpr ChunkSizes small{.min = 1024, .mean = 4096, .max = 16384};

inline Secret key_of(std::uint8_t first) { return Secret(crypto::counting(32, first)); }

inline std::set<std::size_t> ends_of(const std::vector<std::size_t>& lengths) {
    std::set<std::size_t> out;
    std::size_t at = 0;
    for (const std::size_t length : lengths) out.insert(at += length);
    return out;
}

}  // namespace holdfast::codec
