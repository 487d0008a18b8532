#include "source/order_free_sum.h"

#include <fmt/format.h>

#include <charconv>

namespace holdfast {

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

std::uint64_t word(const std::uint8_t* at, std::size_t bytes) {
    std::uint64_t out = 0;
    std::memcpy(&out, at, bytes);
    return out;
}

}  // namespace

OrderFreeSum::Hash OrderFreeSum::hash(ByteView bytes) {
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t a = k0, b = k1 ^ bytes.size();
    while (left >= 16) {
        const std::uint64_t x = word(at, 8), y = word(at + 8, 8);
        a = mix(a ^ (x ^ k2), y ^ k3);
        b = mix(b ^ (y ^ k0), x ^ a);
        at += 16;
        left -= 16;
    }
    const std::uint64_t x = word(at, std::min<std::size_t>(left, 8));
    const std::uint64_t y = left > 8 ? word(at + 8, left - 8) : 0;
    a = mix(a ^ x ^ k2, y ^ k3 ^ left);
    b = mix(b ^ y ^ k0, x ^ k1 ^ a);
    const std::uint64_t low = mix(a ^ k3, b ^ k1);
    const std::uint64_t high = mix(b ^ k2, a ^ k0 ^ low);
    return {low, high};
}

void OrderFreeSum::add(const Hash& one) {
    add_halves(one.first, one.second);
    ++count_;
}

void OrderFreeSum::add(const OrderFreeSum& others) {
    add_halves(others.low_, others.high_);
    count_ += others.count_;
}

void OrderFreeSum::remove(const OrderFreeSum& others) {
    high_ -= others.high_ + (low_ < others.low_ ? 1 : 0);
    low_ -= others.low_;
    count_ -= others.count_;
}

std::optional<OrderFreeSum> OrderFreeSum::from(std::uint64_t count, std::string_view hex) {
    constexpr std::size_t half = 16;
    OrderFreeSum out;
    if (hex.size() != 2 * half) return std::nullopt;
    for (auto [digits, to] : {std::pair(hex.substr(0, half), &out.high_), std::pair(hex.substr(half), &out.low_)}) {
        const auto [end, problem] = std::from_chars(digits.data(), digits.data() + half, *to, half);
        if (problem != std::errc{} || end != digits.data() + half) return std::nullopt;
    }
    out.count_ = count;
    return out;
}

void OrderFreeSum::add_halves(std::uint64_t low, std::uint64_t high) {
    low_ += low;
    high_ += high + (low_ < low ? 1 : 0);
}

std::string OrderFreeSum::hex() const { return fmt::format("{:016x}{:016x}", high_, low_); }

}  // namespace holdfast
