// crypto/hmac.h: HMAC-SHA-256 whose key is hashed once; of use inside this layer only.
//
// Threads  const and thread-safe
// Source   RFC 2104; the low-level calls, although OpenSSL 3 calls them deprecated: to copy a state of 112
//          bytes costs nothing beside what EVP allocates for each call, and they run the same assembly
#pragma once

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <initializer_list>

#include "crypto/crypto.h"

namespace holdfast::crypto {

class HmacKey {
public:
    explicit HmacKey(ByteView key);
    ~HmacKey();
    HmacKey(const HmacKey&) = default;
    HmacKey& operator=(const HmacKey&) = default;
    // Of the parts, one after the other.
    Digest operator()(std::initializer_list<ByteView> parts) const;

private:
    SHA256_CTX inner_;
    SHA256_CTX outer_;
};

}  // namespace holdfast::crypto
