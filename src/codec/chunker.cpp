#include "codec/chunker.h"

#include <algorithm>
#include <limits>
#include <span>

#include "base/error.h"
#include "crypto/crypto.h"

namespace holdfast::codec {

namespace {

// A shift a byte moves a byte's number out of the 64-bit hash after so many bytes.
constexpr std::size_t window_bytes = 64;
using Gear = std::array<std::uint64_t, 256>;

Gear gear_from(const Secret& key) {
    Gear gear;
    const Secret numbers = crypto::derive(key.reveal(), {}, "holdfast gear", sizeof gear);
    ByteReader in(numbers.reveal(), "gear table");
    for (std::uint64_t& number : gear) number = in.u64();
    return gear;
}

std::uint64_t roll(const Gear& gear, std::uint64_t hash, std::uint8_t byte) { return (hash << 1) + gear[byte]; }

// A stretch of bytes is hashed in lanes at the same time, each over a part of it: one alone would wait for each addition.
constexpr std::size_t lanes = 4;
constexpr std::size_t lane_bytes = 1024;
constexpr std::size_t stretch_bytes = lanes * lane_bytes;

// Is the hash below the threshold after any of `bytes`? If not, it is `hash` after all of them.
bool has_cut(const Gear& gear, std::uint64_t threshold, std::uint64_t& hash,
             std::span<const std::uint8_t, stretch_bytes> bytes) {
    std::array<std::uint64_t, lanes> hashes{hash};
    for (std::size_t lane = 1; lane < lanes; ++lane)
        for (const std::uint8_t byte : bytes.subspan(lane * lane_bytes - window_bytes, window_bytes))
            hashes[lane] = roll(gear, hashes[lane], byte);
    for (std::size_t i = 0; i < lane_bytes; ++i)
#pragma GCC unroll 4
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            hashes[lane] = roll(gear, hashes[lane], bytes[lane * lane_bytes + i]);
            if (hashes[lane] < threshold) [[unlikely]]
                return true;
        }
    hash = hashes.back();
    return false;
}

// How many of `bytes` up to and with the first after which the hash is below the threshold; 0 when none is.
std::size_t bytes_to_cut(const Gear& gear, std::uint64_t threshold, std::uint64_t hash, ByteView bytes) {
    std::size_t at = 0;
    while (at + stretch_bytes <= bytes.size() &&
           !has_cut(gear, threshold, hash, bytes.subspan(at).first<stretch_bytes>()))
        at += stretch_bytes;
    for (; at < bytes.size(); ++at) {
        hash = roll(gear, hash, bytes[at]);
        if (hash < threshold) return at + 1;
    }
    return 0;
}

}  // namespace

Chunker::Chunker(ChunkSizes sizes, const Secret& key)
    : sizes_(sizes), record_key_(crypto::derive(key.reveal(), {}, "holdfast record cuts")), gear_(gear_from(key)) {
    if (sizes.min < window_bytes || sizes.mean <= sizes.min || sizes.max <= sizes.mean)
        throw Error{Code::corrupt, "chunks of {} to {} bytes with a mean of {} make no sense", sizes.min, sizes.max,
                    sizes.mean};
    threshold_ = std::numeric_limits<std::uint64_t>::max() / (sizes.mean - sizes.min);
}

std::size_t Chunker::first_cut(ByteView bytes, bool last) const {
    if (bytes.size() >= sizes_.min) {
        // The window before the smallest cut is hashed too, so that a cut hangs on the 64 bytes before it and
        // on nothing else: after an insertion cuts fall where they fell before.
        std::uint64_t hash = 0;
        for (const std::uint8_t byte : bytes.subspan(sizes_.min - window_bytes, window_bytes - 1))
            hash = roll(gear_, hash, byte);
        const std::size_t begin = sizes_.min - 1;
        const std::size_t end = std::min<std::size_t>(bytes.size(), sizes_.max);
        const std::size_t cut = bytes_to_cut(gear_, threshold_, hash, bytes.subspan(begin, end - begin));
        if (cut != 0) return begin + cut;
        if (end == sizes_.max) return sizes_.max;
    }
    return last ? bytes.size() : 0;
}

bool Chunker::may_cut_behind(std::uint64_t record_hash, std::size_t record_bytes) const {
    if (record_bytes >= sizes_.mean - sizes_.min) return true;
    std::array<std::uint8_t, sizeof record_hash> hash;
    for (std::size_t i = 0; i < hash.size(); ++i) hash[i] = static_cast<std::uint8_t>(record_hash >> (8 * i));
    return crypto::tag64(record_key_, hash) < threshold_ * record_bytes;
}

}  // namespace holdfast::codec
