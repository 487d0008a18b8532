#include <set>
#include <thread>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

const ByteView info = as_bytes("chunk info");
const ByteView aad = as_bytes("associated");
const ByteView plain = as_bytes("the plain bytes");

// Test cases 13 and 14 of the GCM specification have the nonce that we use.
TEST(Seal, gives_the_vectors_of_the_GCM_specification) {
    const Secret zero = Secret::of_size(32);
    EXPECT_EQ(to_hex(seal(zero, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
    EXPECT_EQ(to_hex(seal(zero, {}, repeated(0, 16))),
              "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

// From the Python package cryptography.
TEST(Seal, binds_associated_data_as_another_implementation_does) {
    EXPECT_EQ(to_hex(seal(test_key(), aad, plain)), "7ad4d0fec540e2d46688cb4c6c49e2cfde74aec5e1fc5f382197850d8abdfc");
}

TEST(Seal, opens_to_what_was_sealed) {
    for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1000U, 70'000U}) {
        const Bytes data = noise(size, size);
        EXPECT_EQ(open(test_key(), aad, seal(test_key(), aad, data)), data);
    }
}

TEST(Seal, does_not_open_when_any_bit_differs) {
    const Bytes sealed = seal(test_key(), aad, plain);
    const auto opens = [](const Bytes& bytes) { return open(test_key(), aad, bytes).has_value(); };
    EXPECT_TRUE(opens(sealed));
    expect_every_flipped_bit_refused(sealed, opens);
    expect_every_truncation_refused(sealed, opens);
    expect_every_flipped_bit_refused(to_bytes(aad),
                                     [&](const Bytes& other) { return open(test_key(), other, sealed).has_value(); });
    expect_every_flipped_bit_refused(counting(32),
                                     [&](const Bytes& other) { return open(Secret(other), aad, sealed).has_value(); });
}

TEST(Seal, refuses_a_key_of_another_size) {
    EXPECT_THROW(seal(Secret::of_size(16), {}, plain), Error);
    EXPECT_THROW(open(Secret::of_size(33), {}, plain), Error);
    EXPECT_THROW(ChunkCipher(Secret::of_size(0)), Error);
    EXPECT_THROW(Fingerprint(Secret::of_size(31)), Error);
}

TEST(ChunkCipher, gives_what_another_implementation_gives) {
    Bytes out = to_bytes(as_bytes("before"));
    ChunkCipher(test_key()).seal(info, aad, plain, out);
    EXPECT_EQ(as_text(ByteView(out).first(6)), "before");
    EXPECT_EQ(to_hex(ByteView(out).subspan(6)), "13e22c28724aade7f2129dab4b0f79fc9c958f3483d969af45e6d1ab500616");
}

TEST(ChunkCipher, derives_its_keys_by_HKDF_Expand) {
    const Digest chunk_key = HmacKey(counting(32))({info, repeated(1, 1)});
    Bytes out;
    ChunkCipher(test_key()).seal(info, aad, plain, out);
    EXPECT_EQ(out, seal(Secret(chunk_key), aad, plain));
}

TEST(ChunkCipher, opens_any_of_many_chunks_in_any_order) {
    ChunkCipher cipher(test_key());
    std::vector<Bytes> sealed(20);
    for (std::size_t i = 0; i < sealed.size(); ++i) cipher.seal(counting(i), aad, noise(i, i * 517), sealed[i]);
    Bytes out;
    for (std::size_t i = sealed.size(); i-- > 0;) {
        EXPECT_TRUE(cipher.open(counting(i), aad, sealed[i], out));
        EXPECT_EQ(out, noise(i, i * 517));
        EXPECT_FALSE(cipher.open(counting(i + 1), aad, sealed[i], out));
        EXPECT_TRUE(out.empty());
    }
}

TEST(ChunkCipher, does_not_open_when_any_bit_differs) {
    ChunkCipher cipher(test_key());
    Bytes sealed;
    cipher.seal(info, aad, plain, sealed);
    Bytes out;
    const auto opens = [&](const Bytes& bytes) { return cipher.open(info, aad, bytes, out); };
    EXPECT_TRUE(opens(sealed));
    expect_every_flipped_bit_refused(sealed, opens);
    expect_every_truncation_refused(sealed, opens);
    expect_every_flipped_bit_refused(to_bytes(aad),
                                     [&](const Bytes& other) { return cipher.open(info, other, sealed, out); });
    expect_every_flipped_bit_refused(to_bytes(info),
                                     [&](const Bytes& other) { return cipher.open(other, aad, sealed, out); });
    expect_every_flipped_bit_refused(
        counting(32), [&](const Bytes& other) { return ChunkCipher(Secret(other)).open(info, aad, sealed, out); });
    EXPECT_TRUE(opens(sealed));
}

TEST(ChunkCipher, opens_again_after_what_did_not_open) {
    ChunkCipher cipher(test_key());
    Bytes sealed;
    cipher.seal(info, aad, plain, sealed);
    Bytes out;
    EXPECT_FALSE(cipher.open(info, {}, sealed, out));
    EXPECT_TRUE(cipher.open(info, aad, sealed, out));
    EXPECT_EQ(as_text(out), as_text(plain));
}

TEST(ChunkCipher, works_in_many_threads_with_one_object_each) {
    std::vector<Bytes> sealed(4);
    {
        std::vector<std::jthread> threads;
        for (Bytes& mine : sealed)
            threads.emplace_back([&mine] { ChunkCipher(test_key()).seal(info, aad, noise(1, 10'000), mine); });
    }
    EXPECT_EQ(std::set<Bytes>(sealed.begin(), sealed.end()).size(), 1U);
}

TEST(Fingerprint, is_the_tag_of_GMAC) {
    Fingerprint fingerprint(test_key());
    for (const std::size_t size : {0U, 1U, 16U, 100U, 20'000U}) {
        const Bytes data = noise(size, size);
        EXPECT_EQ(to_hex(fingerprint(data)), to_hex(seal(test_key(), data, {})));
    }
}

TEST(Fingerprint, depends_on_bytes_and_key_only) {
    Fingerprint first(test_key());
    Fingerprint again(test_key());
    Fingerprint other(Secret(counting(32, 1)));
    const Bytes data = noise(1, 300);
    const auto value = first(data);
    EXPECT_NE(first(ByteView(data).first(299)), value);
    EXPECT_EQ(first(data), value);
    EXPECT_EQ(again(data), value);
    EXPECT_NE(other(data), value);
    expect_every_flipped_bit_refused(data, [&](const Bytes& flipped) { return first(flipped) == value; });
}

}  // namespace

}  // namespace holdfast::crypto
