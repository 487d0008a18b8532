#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/gcm.h"
#include "crypto/hmac.h"
#include "crypto/library.h"

namespace holdfast::crypto {

struct ChunkCipher::Impl {
    explicit Impl(const Secret& section_key) : expand(section_key.reveal()) {}
    // HKDF-Expand of 32 bytes is one HMAC.
    void set_chunk_key(ByteView chunk_info) {
        constexpr std::uint8_t block_number = 1;
        chunk_key = expand({chunk_info, ByteView{&block_number, 1}});
    }
    ~Impl() { explicit_bzero(chunk_key.data(), chunk_key.size()); }

    const HmacKey expand;
    Digest chunk_key{};
    const std::unique_ptr<Gcm> gcm = make_gcm();
};

ChunkCipher::ChunkCipher(const Secret& section_key) {
    check_size(section_key, "section key");
    impl_ = std::make_unique<Impl>(section_key);
}
ChunkCipher::~ChunkCipher() = default;

void ChunkCipher::seal(ByteView chunk_info, ByteView aad, ByteView plain, Bytes& out) {
    impl_->set_chunk_key(chunk_info);
    impl_->gcm->seal(impl_->chunk_key.data(), aad, plain, out);
}

bool ChunkCipher::open(ByteView chunk_info, ByteView aad, ByteView sealed, Bytes& out) {
    impl_->set_chunk_key(chunk_info);
    return impl_->gcm->open(impl_->chunk_key.data(), aad, sealed, out);
}

Bytes seal(const Secret& key, ByteView aad, ByteView plain) {
    check_size(key, "key");
    Bytes out;
    make_gcm()->seal(key.reveal().data(), aad, plain, out);
    return out;
}

std::optional<Bytes> open(const Secret& key, ByteView aad, ByteView sealed) {
    check_size(key, "key");
    Bytes out;
    if (!make_gcm()->open(key.reveal().data(), aad, sealed, out)) return std::nullopt;
    return out;
}

}  // namespace holdfast::crypto
