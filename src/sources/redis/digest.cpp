#include "sources/redis/digest.h"

#include <fmt/format.h>

#include <bit>

namespace holdfast::redis {

namespace {

__extension__ using Wide = unsigned __int128;

// Odd numbers with half of their bits set, as in wyhash.
constexpr std::uint64_t k0 = 0xa0761d6478bd642fULL;
constexpr std::uint64_t k1 = 0xe7037ed1a0b428dbULL;
constexpr std::uint64_t k2 = 0x8ebc6af09c88c6e3ULL;
constexpr std::uint64_t k3 = 0x589965cc75374cc3ULL;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const std::uint8_t* at) {
    std::uint64_t out = 0;
    if constexpr (std::endian::native == std::endian::little)
        std::memcpy(&out, at, 8);
    else
        for (int i = 7; i >= 0; --i) out = out << 8 | at[i];
    return out;
}

struct Halves {
    std::uint64_t a;
    std::uint64_t b;
    void block(const std::uint8_t* at) {
        const std::uint64_t x = word(at), y = word(at + 8);
        a = mix(a ^ x ^ k2, y ^ k3);
        b = mix(b ^ y ^ k0, x ^ a);
    }
};

}  // namespace

std::string Sum128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Hash128::Hash128(std::uint64_t seed) : a_(k0 ^ seed), b_(k1 + seed) {}

void Hash128::add(ByteView bytes) {
    if (bytes.empty()) return;
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    const std::size_t held = bytes_ % 16;
    bytes_ += left;
    Halves halves{a_, b_};
    if (held > 0) {
        const std::size_t more = std::min(left, 16 - held);
        std::memcpy(rest_.data() + held, at, more);
        if (held + more < 16) return;
        halves.block(rest_.data());
        at += more;
        left -= more;
    }
    for (; left >= 16; at += 16, left -= 16) halves.block(at);
    if (left > 0) std::memcpy(rest_.data(), at, left);
    a_ = halves.a;
    b_ = halves.b;
}

void Hash128::number(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes;
    for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
    add(bytes);
}

Sum128 Hash128::value() const {
    std::array<std::uint8_t, 16> last{};
    std::memcpy(last.data(), rest_.data(), bytes_ % 16);
    const std::uint64_t x = word(last.data()), y = word(last.data() + 8);
    const std::uint64_t a = mix(a_ ^ x ^ k2, y ^ k3 ^ bytes_);
    const std::uint64_t b = mix(b_ ^ y ^ k0, x ^ k1 ^ a);
    const std::uint64_t low = mix(a ^ k3, b ^ k1);
    return {low, mix(b ^ k2, a ^ k0 ^ low)};
}

}  // namespace holdfast::redis
