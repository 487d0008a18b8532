// crypto/test_help.h: vectors from hex, and chance that repeats; for the tests of this layer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/world.h"

namespace holdfast::crypto {

inline Bytes hex(std::string_view digits) { return from_hex(digits).value(); }
inline Secret secret(std::string_view digits) { return Secret(hex(digits)); }
inline Bytes repeated(std::uint8_t byte, std::size_t count) { return Bytes(count, byte); }
inline Bytes counting(std::size_t count, std::uint8_t first = 0) {
    Bytes out(count);
    for (std::uint8_t& byte : out) byte = first++;
    return out;
}
inline Secret test_key() { return Secret(counting(32)); }

// splitmix64: bytes that look random and are the same everywhere.
inline Bytes noise(std::uint64_t seed, std::size_t count) {
    Bytes out;
    ByteWriter writer(out);
    while (out.size() < count) {
        std::uint64_t mixed = seed += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        writer.u64(mixed ^ (mixed >> 31));
    }
    out.resize(count);
    return out;
}

class SameRandom final : public Random {
public:
    explicit SameRandom(std::uint8_t byte) : byte_(byte) {}
    void fill(MutableByteView out) override { std::fill(out.begin(), out.end(), byte_); }

private:
    const std::uint8_t byte_;
};

// Calls `accepted` with each copy of `bytes` that has one bit flipped; none of them may be accepted.
template <class Accepted>
void expect_every_flipped_bit_refused(const Bytes& bytes, Accepted accepted) {
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        Bytes flipped = bytes;
        flipped[bit / 8] = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_FALSE(accepted(flipped)) << "bit " << bit;
    }
}

// The same for every shorter beginning.
template <class Accepted>
void expect_every_truncation_refused(const Bytes& bytes, Accepted accepted) {
    for (std::size_t size = 0; size < bytes.size(); ++size)
        EXPECT_FALSE(accepted(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))))
            << size << " bytes";
}

}  // namespace holdfast::crypto
