#include "crypto/gcm.h"

#include <openssl/evp.h>

#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

// What OpenSSL gives, whichever library seals.
Bytes by_openssl(ByteView key, ByteView aad, ByteView plain) {
    const std::array<std::uint8_t, 12> nonce{};
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                  EVP_CIPHER_CTX_free);
    EXPECT_EQ(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()), 1);
    int written = 0;
    if (!aad.empty()) {
        EXPECT_EQ(EVP_EncryptUpdate(context.get(), nullptr, &written, aad.data(), static_cast<int>(aad.size())), 1);
    }
    Bytes out(plain.size() + tag_bytes);
    if (!plain.empty()) {
        EXPECT_EQ(EVP_EncryptUpdate(context.get(), out.data(), &written, plain.data(), static_cast<int>(plain.size())),
                  1);
    }
    EXPECT_EQ(EVP_EncryptFinal_ex(context.get(), out.data() + plain.size(), &written), 1);
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, out.data() + plain.size()), 1);
    return out;
}

TEST(Gcm, gives_what_openssl_gives) {
    Gcm gcm;
    for (std::size_t size = 0; size < 1200; size += size < 70 ? 1 : 97) {
        for (const std::size_t aad_size : {0U, 1U, 16U, 70U, 300U}) {
            const Bytes key = noise(size, key_bytes);
            const Bytes plain = noise(size + 1, size), aad = noise(aad_size, aad_size);
            const Bytes expected = by_openssl(key, aad, plain);
            Bytes sealed, opened;
            gcm.seal(key.data(), aad, plain, sealed);
            ASSERT_EQ(sealed, expected) << size << " bytes, " << aad_size << " associated";
            ASSERT_TRUE(gcm.open(key.data(), aad, expected, opened));
            ASSERT_EQ(opened, plain);
        }
    }
    const Bytes key = noise(1, key_bytes), plain = noise(2, 5'000'001);
    Bytes sealed;
    gcm.seal(key.data(), {}, plain, sealed);
    EXPECT_EQ(sealed, by_openssl(key, {}, plain));
}

TEST(Gcm, finds_any_one_wrong_byte_of_many_blocks) {
    Gcm gcm;
    const Bytes key = noise(1, key_bytes);
    Bytes sealed, opened;
    gcm.seal(key.data(), {}, noise(2, 3000), sealed);
    for (std::size_t i = 0; i < sealed.size(); i += 7) {
        sealed[i] ^= 0x10;
        EXPECT_FALSE(gcm.open(key.data(), {}, sealed, opened)) << i;
        EXPECT_TRUE(opened.empty());
        sealed[i] ^= 0x10;
    }
    EXPECT_TRUE(gcm.open(key.data(), {}, sealed, opened));
}

}  // namespace

}  // namespace holdfast::crypto
