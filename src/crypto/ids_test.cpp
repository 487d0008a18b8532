#include <algorithm>
#include <set>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/test_help.h"

namespace holdfast::crypto {

namespace {

constexpr auto suites = id_suites;

TEST(IdKey, of_suite_1_is_HMAC_SHA_256) {
    const IdKey id(IdSuite::hmac_sha256, test_key());
    EXPECT_EQ(to_hex(id(noise(3, 1000))), "d410a43f7c418625761dd536e6840fceaa3162736c460b369c8690769c92a7eb");
    EXPECT_EQ(to_hex(id(ByteView{})), "d38b42096d80f45f826b44a9d5607de72496a415d3f4a1a8c88e3bb9da8dc1cb");
    EXPECT_EQ(id(noise(4, 70'000)), HmacKey(counting(32))({noise(4, 70'000)}));
}

// From Python's hashlib, which is the reference code of BLAKE2.
TEST(IdKey, of_suite_2_is_keyed_BLAKE2b_256) {
    const IdKey id(IdSuite::blake2b, test_key());
    EXPECT_EQ(to_hex(id(noise(3, 1000))), "97cf7310b113ae4fc79a8647f9a923b87e58f8ea0456808fa19be4f632e3a189");
    EXPECT_EQ(to_hex(id(ByteView{})), "4e51e7a913fc80137da52880fecca175bf81e117d5c68126dc2774033517ea0d");
}

// By OpenSSL's HMAC of each segment, where the suite itself may use vector lanes.
Digest in_segments(const Secret& key, ByteView bytes) {
    const HmacKey of_segment(derive(key.reveal(), {}, "holdfast id segment").reveal());
    Bytes top;
    ByteWriter(top).u64(bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += 16384)
        append(top, of_segment({bytes.subspan(at, std::min<std::size_t>(16384, bytes.size() - at))}));
    return HmacKey(key.reveal())({top});
}

TEST(IdKey, of_suite_3_is_HMAC_SHA_256_of_the_HMACs_of_segments) {
    const IdKey id(IdSuite::hmac_sha256_lanes, test_key());
    for (const std::size_t count :
         {0U, 1U, 63U, 64U, 1000U, 16383U, 16384U, 16385U, 40000U, 300001U, 1U << 20, 3000000U}) {
        const Bytes bytes = noise(6, count);
        EXPECT_EQ(id(bytes), in_segments(test_key(), bytes)) << count;
    }
    EXPECT_EQ(to_hex(id(noise(3, 1000))), "a1693db49453c3d72b8c3392ac3849ca11f3c3ea01eedeb498d643001bf37ded");
}

TEST(IdKey, frames_what_has_a_kind) {
    const auto framed = [](IdSuite suite) {
        return to_hex(IdKey(suite, test_key())("node", as_bytes("abc"), as_bytes("defg")));
    };
    EXPECT_EQ(framed(IdSuite::hmac_sha256), "544ac51a9bf9972b109b0dc4addf5552703e6474a6cfac1a54718fb4f7a1d11f");
    EXPECT_EQ(framed(IdSuite::blake2b), "ed72f409d3f47b405b9d8679153ce00f1d555c3c56c11c759d0e0fd07c8f553b");
}

TEST(IdKey, tells_apart_what_is_the_same_when_joined) {
    for (const IdSuite suite : suites) {
        const IdKey id(suite, test_key());
        std::set<Digest> seen;
        for (const std::string_view kind : {"", "a", "ab", "abc"})
            for (const std::string_view first : {"", "a", "b", "bc", "c", "abc"})
                for (const std::string_view second : {"", "a", "b", "c", "bc", "abc"})
                    EXPECT_TRUE(seen.insert(id(kind, as_bytes(first), as_bytes(second))).second);
        EXPECT_EQ(seen.size(), 4U * 6U * 6U);
    }
}

// A chunk is written by whoever owns the data; it must not be able to pass for a node.
TEST(IdKey, of_a_chunk_is_never_the_id_of_a_frame) {
    Bytes frame;
    ByteWriter writer(frame);
    writer.u64(4);
    writer.raw(as_bytes("node"));
    writer.u64(3);
    writer.raw(as_bytes("abcdefg"));
    for (const IdSuite suite : suites) {
        const IdKey id(suite, test_key());
        EXPECT_NE(id(frame), id("node", as_bytes("abc"), as_bytes("defg")));
    }
}

TEST(IdKey, depends_on_suite_key_and_bytes) {
    const Bytes data = noise(5, 300);
    std::set<Digest> seen;
    for (const IdSuite suite : suites) {
        seen.insert(IdKey(suite, test_key())(data));
        seen.insert(IdKey(suite, Secret(counting(32, 1)))(data));
        seen.insert(IdKey(suite, test_key())(ByteView(data).first(299)));
    }
    EXPECT_EQ(seen.size(), 3U * id_suites.size());
}

TEST(IdKey, of_an_unknown_suite_is_refused) {
    try {
        IdKey(static_cast<IdSuite>(9), test_key());
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::newer_format);
    }
    EXPECT_THROW(IdKey(IdSuite::blake2b, Secret::of_size(31)), Error);
}

TEST(IdKey, the_fastest_suite_is_one_that_exists) {
    EXPECT_NE(std::ranges::find(id_suites, fastest_id_suite()), id_suites.end());
}

TEST(Tag64, gives_the_vectors_of_SipHash_2_4) {
    EXPECT_EQ(tag64(Secret(counting(16)), {}), 0x726fdb47dd0e0e31U);
    EXPECT_EQ(tag64(Secret(counting(16)), counting(15)), 0xa129ca6149be45e5U);
    EXPECT_EQ(tag64(test_key(), counting(15)), 0xa129ca6149be45e5U);
    EXPECT_THROW(tag64(Secret(counting(15)), {}), Error);
}

}  // namespace

}  // namespace holdfast::crypto
