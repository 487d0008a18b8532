#include "crypto/hmac.h"

#include "base/error.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

std::string hmac_hex(ByteView key, ByteView data) { return to_hex(HmacKey(key)({data})); }

TEST(Sha256, gives_the_vectors_of_FIPS_180_4) {
    EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(to_hex(sha256(repeated('a', 1'000'000))),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, does_not_depend_on_how_bytes_arrive) {
    const Bytes data = noise(1, 1000);
    for (std::size_t step = 1; step <= data.size(); step += 37) {
        Sha256 hash;
        for (std::size_t at = 0; at < data.size(); at += step)
            hash.update(ByteView(data).subspan(at, std::min(step, data.size() - at)));
        EXPECT_EQ(hash.finish(), sha256(data)) << step;
    }
}

TEST(Hmac, gives_the_vectors_of_RFC_4231) {
    EXPECT_EQ(hmac_hex(repeated(0x0b, 20), as_bytes("Hi There")),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hmac_hex(as_bytes("Jefe"), as_bytes("what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac_hex(repeated(0xaa, 20), repeated(0xdd, 50)),
              "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    EXPECT_EQ(hmac_hex(counting(25, 1), repeated(0xcd, 50)),
              "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    EXPECT_EQ(hmac_hex(repeated(0xaa, 131), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(hmac_hex(repeated(0xaa, 131),
                       as_bytes("This is a test using a larger than block-size key and a larger than block-size data. "
                                "The key needs to be hashed before being used by the HMAC algorithm.")),
              "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

TEST(Hmac, of_parts_is_that_of_the_whole) {
    const HmacKey key(counting(32));
    EXPECT_EQ(key({as_bytes("ab"), {}, as_bytes("c")}), key({as_bytes("abc")}));
}

}  // namespace

}  // namespace holdfast::crypto
