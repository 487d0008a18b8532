// crypto/tag128.h: a keyed tag that tells short pieces apart, such as the rows of a table.
//
// Shape    SipHash-2-4 with 128 bits; who does not have the key finds no two pieces with one tag
// Errors   internal for a key of fewer than 16 bytes; the first 16 count
// Threads  from any
// Source   doc/format/crypto.md
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/secret.h"

namespace holdfast::crypto {

std::array<std::uint8_t, 16> tag128(const Secret& key, ByteView bytes);

}  // namespace holdfast::crypto
