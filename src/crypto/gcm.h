// crypto/gcm.h: AES-256-GCM with nonce 0, again and again in one context; of use inside this layer only.
//
// Shape    libipsec-mb where it works: it costs half of what OpenSSL 3.0 does on CPUs with wide vectors; elsewhere OpenSSL
// Errors   internal when the library refuses what must work
// Threads  one owner
#pragma once

#include <memory>

#include "crypto/crypto.h"

namespace holdfast::crypto {

class Gcm {
public:
    virtual ~Gcm() = default;
    // `key` has key_bytes bytes. Appends plain.size() + tag_bytes bytes to `out`.
    void seal(const std::uint8_t* key, ByteView aad, ByteView plain, Bytes& out);
    // Replaces `out`; false, and nothing in it, when it does not authenticate.
    bool open(const std::uint8_t* key, ByteView aad, ByteView sealed, Bytes& out);

private:
    virtual void seal_into(const std::uint8_t* key, ByteView aad, ByteView plain, std::uint8_t* out,
                           std::uint8_t* tag) = 0;
    virtual bool open_into(const std::uint8_t* key, ByteView aad, ByteView sealed, ByteView tag, std::uint8_t* out) = 0;
};

std::unique_ptr<Gcm> make_gcm();  // the fastest here
std::unique_ptr<Gcm> make_openssl_gcm();

}  // namespace holdfast::crypto
