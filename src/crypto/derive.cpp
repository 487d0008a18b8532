#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/library.h"

namespace holdfast::crypto {

Secret derive(ByteView secret, ByteView salt, std::string_view info, std::size_t bytes) {
    constexpr std::size_t bytes_max = 255 * sizeof(Digest);
    if (bytes > bytes_max) throw Error{Code::internal, "HKDF cannot give {} bytes, {} at most", bytes, bytes_max};

    Digest pseudorandom = HmacKey(salt)({secret});
    const HmacKey expand(pseudorandom);
    explicit_bzero(pseudorandom.data(), pseudorandom.size());

    Secret out = Secret::of_size(bytes);
    Digest block;
    ByteView before;
    std::uint8_t number = 0;
    for (std::size_t at = 0; at < bytes; at += block.size()) {
        ++number;
        block = expand({before, as_bytes(info), ByteView{&number, 1}});
        before = block;
        std::memcpy(out.writable().data() + at, block.data(), std::min(block.size(), bytes - at));
    }
    explicit_bzero(block.data(), block.size());
    return out;
}

Secret argon2id(ByteView password, ByteView salt, Argon2Cost cost) {
    if (salt.size() != crypto_pwhash_argon2id_SALTBYTES)
        throw Error{Code::corrupt, "the salt of a passphrase has {} bytes, not {}", salt.size(),
                    crypto_pwhash_argon2id_SALTBYTES};
    if (cost.memory_kib < crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024 || cost.memory_kib > argon2_memory_kib_max ||
        cost.passes < crypto_pwhash_argon2id_OPSLIMIT_MIN || cost.passes > argon2_passes_max)
        throw Error{Code::corrupt, "Argon2id with {} KiB and {} passes is outside of what holdfast accepts",
                    cost.memory_kib, cost.passes};
    start_sodium();
    Secret out = Secret::of_size(key_bytes);
    const std::string_view text = as_text(password);
    const int failed =
        crypto_pwhash_argon2id(out.writable().data(), out.size(), text.data(), text.size(), salt.data(), cost.passes,
                               std::size_t{cost.memory_kib} * 1024, crypto_pwhash_argon2id_ALG_ARGON2ID13);
    if (failed != 0)
        throw Error{Code::failed, "no memory for Argon2id, which needs {} KiB", cost.memory_kib}.hint(
            "Free some memory, or raise the limit of this process or container.");
    return out;
}

}  // namespace holdfast::crypto
