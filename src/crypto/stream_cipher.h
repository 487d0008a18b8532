// crypto/stream_cipher.h: AES-256 in counter mode over one long run of bytes, any part of which can be turned by itself.
//
// Shape    the same call seals and opens; byte i is the same wherever a part begins
// Errors   internal when the library refuses what must work
// Threads  const and thread-safe
// Limits   hides, does not authenticate; a place that is written twice with different bytes gives both away
// Source   NIST SP 800-38A; libipsec-mb where it works, for it costs a third of what OpenSSL 3.0 does
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/secret.h"

namespace holdfast::crypto {

class StreamCipher {
public:
    explicit StreamCipher(const Secret& key);  // of key_bytes
    ~StreamCipher();
    StreamCipher(const StreamCipher&) = delete;
    StreamCipher& operator=(const StreamCipher&) = delete;
    // `in` lies at `offset`; `out` has room for as many bytes, and may be where `in` is.
    void apply(std::uint64_t offset, ByteView in, std::uint8_t* out) const;

private:
    struct Impl;
    std::unique_ptr<const Impl> impl_;
};

}  // namespace holdfast::crypto
