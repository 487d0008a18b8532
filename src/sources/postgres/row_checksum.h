// sources/postgres/row_checksum.h: a checksum of a table's rows that does not depend on their order.
//
// Shape    the sum, mod 2^128, of a 128-bit hash of each row's line; twice the same row counts twice
// Limits   finds damage and mistakes, not an attacker who chooses rows; the repository's own hashes are for those
// Source   doc/format/postgres.md, which has test values
#pragma once

#include <string>
#include <utility>

#include "base/bytes.h"

namespace holdfast::postgres {

class RowChecksum {
public:
    // Of one line, low and high half.
    static std::pair<std::uint64_t, std::uint64_t> hash(ByteView line);
    // The line without its line break.
    void add(ByteView line);
    std::uint64_t rows() const { return rows_; }
    std::string hex() const;  // 32 digits

private:
    std::uint64_t low_ = 0;
    std::uint64_t high_ = 0;
    std::uint64_t rows_ = 0;
};

}  // namespace holdfast::postgres
