// sources/redis/digest.h: hashes of what keys hold, which do not depend on encodings or on the order of what has none.
//
// Shape    Hash128 h; h.add(bytes); h.value(); sums of values, mod 2^128, stand for sets
// Limits   finds damage and mistakes, not an attacker who chooses values; the repository's own hashes are for those
// Source   doc/format/redis.md, which has test values
#pragma once

#include <string>

#include "base/bytes.h"

namespace holdfast::redis {

struct Sum128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    void add(const Sum128& other) {
        low += other.low;
        high += other.high + (low < other.low ? 1 : 0);
    }
    void remove(const Sum128& other) {
        high -= other.high + (low < other.low ? 1 : 0);
        low -= other.low;
    }
    bool operator==(const Sum128&) const = default;
    std::string hex() const;  // 32 digits
};

// Of bytes given in any pieces.
class Hash128 {
public:
    explicit Hash128(std::uint64_t seed = 0);
    void add(ByteView bytes);
    void add(std::string_view text) { add(as_bytes(text)); }
    void number(std::uint64_t value);
    void add(const Sum128& sum) {
        number(sum.low);
        number(sum.high);
    }
    // A string with its length, so that its end is clear.
    void string(ByteView bytes) {
        number(bytes.size());
        add(bytes);
    }
    Sum128 value() const;

private:
    std::uint64_t a_;
    std::uint64_t b_;
    std::uint64_t bytes_ = 0;
    std::array<std::uint8_t, 16> rest_{};
};

}  // namespace holdfast::redis
