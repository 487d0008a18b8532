// source/order_free_sum.h: a checksum of many rows or documents that does not depend on their order.
//
// Shape    the sum, mod 2^128, of a 128-bit hash of each one's bytes; twice the same counts twice
// Limits   finds damage and mistakes, not an attacker who chooses rows; the repository's own hashes are for those
// Source   doc/format/postgres.md, which has test values
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace holdfast {

class OrderFreeSum {
public:
    using Hash = std::pair<std::uint64_t, std::uint64_t>;  // low and high half
    static Hash hash(ByteView bytes);
    void add(const Hash& one);
    void add(ByteView bytes) { add(hash(bytes)); }
    void add(const OrderFreeSum& others);
    void remove(const OrderFreeSum& others);
    // Of what hex() gave; nothing when it is no sum.
    static std::optional<OrderFreeSum> from(std::uint64_t count, std::string_view hex);
    std::uint64_t count() const { return count_; }
    std::string hex() const;  // 32 digits

private:
    void add_halves(std::uint64_t low, std::uint64_t high);
    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace holdfast
