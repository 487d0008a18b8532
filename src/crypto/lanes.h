// crypto/lanes.h: HMAC-SHA-256 of many equally keyed messages side by side; of use inside this layer only.
//
// Shape    one message a vector lane (libipsec-mb: 8 with AVX2, 16 with AVX-512); elsewhere one after the other
// Threads  const and thread-safe: every thread has a manager of its own
// Limits   a message of at most segment_max bytes
#pragma once

#include "crypto/hmac.h"

namespace holdfast::crypto {

class LaneMac {
public:
    static constexpr std::size_t segment_max = 16 * 1024;

    explicit LaneMac(ByteView key);
    ~LaneMac();
    LaneMac(const LaneMac&) = default;
    LaneMac& operator=(const LaneMac&) = default;
    // One digest of 32 bytes for each run of segment_max bytes of `bytes`, the last one shorter; appended to `out`.
    void operator()(ByteView bytes, Bytes& out) const;

private:
    void in_lanes(ByteView bytes, Bytes& out) const;

    HmacKey one_;
    std::array<std::uint8_t, 32> inner_{};
    std::array<std::uint8_t, 32> outer_{};
};

}  // namespace holdfast::crypto
