#include "crypto/gcm.h"

#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

TEST(Gcm, gives_what_openssl_gives) {
    const std::unique_ptr<Gcm> gcm = make_gcm(), openssl = make_openssl_gcm();
    for (std::size_t size = 0; size < 1200; size += size < 70 ? 1 : 97) {
        for (const std::size_t aad_size : {0U, 1U, 16U, 70U, 300U}) {
            const Bytes key = noise(size, key_bytes);
            const Bytes plain = noise(size + 1, size), aad = noise(aad_size, aad_size);
            Bytes sealed, expected, opened;
            gcm->seal(key.data(), aad, plain, sealed);
            openssl->seal(key.data(), aad, plain, expected);
            ASSERT_EQ(sealed, expected) << size << " bytes, " << aad_size << " associated";
            for (Gcm* each : {gcm.get(), openssl.get()}) {
                ASSERT_TRUE(each->open(key.data(), aad, sealed, opened));
                ASSERT_EQ(opened, plain);
            }
        }
    }
    const Bytes key = noise(1, key_bytes), plain = noise(2, 5'000'001);
    Bytes sealed, expected;
    gcm->seal(key.data(), {}, plain, sealed);
    openssl->seal(key.data(), {}, plain, expected);
    EXPECT_EQ(sealed, expected);
}

TEST(Gcm, finds_any_one_wrong_byte_of_many_blocks) {
    for (const auto& make : {make_gcm, make_openssl_gcm}) {
        const std::unique_ptr<Gcm> gcm = make();
        const Bytes key = noise(1, key_bytes);
        Bytes sealed, opened;
        gcm->seal(key.data(), {}, noise(2, 3000), sealed);
        for (std::size_t i = 0; i < sealed.size(); i += 7) {
            sealed[i] ^= 0x10;
            EXPECT_FALSE(gcm->open(key.data(), {}, sealed, opened)) << i;
            EXPECT_TRUE(opened.empty());
            sealed[i] ^= 0x10;
        }
        EXPECT_TRUE(gcm->open(key.data(), {}, sealed, opened));
    }
}

}  // namespace

}  // namespace holdfast::crypto
