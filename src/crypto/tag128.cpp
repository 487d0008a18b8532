#include "crypto/tag128.h"

#include <sodium.h>

#include "base/error.h"

namespace holdfast::crypto {

std::array<std::uint8_t, 16> tag128(const Secret& key, ByteView bytes) {
    if (key.size() < crypto_shorthash_siphashx24_KEYBYTES)
        throw Error{Code::internal, "a tag key has {} bytes, fewer than {}", key.size(),
                    crypto_shorthash_siphashx24_KEYBYTES};
    std::array<std::uint8_t, crypto_shorthash_siphashx24_BYTES> out;
    crypto_shorthash_siphashx24(out.data(), bytes.data(), bytes.size(), key.reveal().data());
    return out;
}

}  // namespace holdfast::crypto
