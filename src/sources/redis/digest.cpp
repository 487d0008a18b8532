#include "sources/redis/digest.h"

#include <fmt/format.h>

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
    for (int i = 7; i >= 0; --i) out = out << 8 | at[i];
    return out;
}

}  // namespace

std::string Sum128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Hash128::Hash128(std::uint64_t seed) : a_(k0 ^ seed), b_(k1 + seed) {}

void Hash128::block(std::uint64_t x, std::uint64_t y) {
    a_ = mix(a_ ^ x ^ k2, y ^ k3);
    b_ = mix(b_ ^ y ^ k0, x ^ a_);
}

void Hash128::add(ByteView bytes) {
    if (bytes.empty()) return;
    const std::size_t held = bytes_ % 16;
    bytes_ += bytes.size();
    if (held > 0) {
        const std::size_t more = std::min(bytes.size(), 16 - held);
        std::memcpy(rest_.data() + held, bytes.data(), more);
        if (held + more < 16) return;
        block(word(rest_.data()), word(rest_.data() + 8));
        bytes = bytes.subspan(more);
    }
    for (; bytes.size() >= 16; bytes = bytes.subspan(16)) block(word(bytes.data()), word(bytes.data() + 8));
    if (!bytes.empty()) std::memcpy(rest_.data(), bytes.data(), bytes.size());
}

void Hash128::number(std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes{};
    for (auto& byte : bytes) {
        byte = static_cast<std::uint8_t>(value);
        value >>= 8;
    }
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
