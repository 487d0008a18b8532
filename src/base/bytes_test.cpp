#include "base/bytes.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/secret.h"

namespace holdfast {
namespace {

using ShortId = Id<struct ShortTag, 4>;

Bytes written(const std::function<void(ByteWriter&)>& write) {
    Bytes out;
    ByteWriter writer(out);
    write(writer);
    return out;
}

Error error_of(const std::function<void()>& run) {
    try {
        run();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no error";
    return Error{Code::internal, "none"};
}

TEST(Bytes, what_is_appended_stands_behind_what_was_there) {
    Bytes grown;
    std::string expected;
    for (int i = 0; i < 1000; ++i) {
        const std::string piece(static_cast<std::size_t>(i % 50), static_cast<char>('a' + i % 26));
        append(grown, as_bytes(piece));
        expected += piece;
        ASSERT_EQ(as_text(grown), expected);
    }
    EXPECT_LE(grown.capacity(), 4 * grown.size());
}

TEST(Bytes, hex_goes_there_and_back) {
    const Bytes bytes{0x00, 0x0f, 0xa5, 0xff};
    EXPECT_EQ(to_hex(bytes), "000fa5ff");
    EXPECT_EQ(from_hex("000fa5ff"), bytes);
    EXPECT_EQ(from_hex("000FA5FF"), bytes);
    EXPECT_EQ(from_hex(""), Bytes{});
    EXPECT_FALSE(from_hex("0"));
    EXPECT_FALSE(from_hex("0g"));
    EXPECT_FALSE(from_hex("0x00"));
}

TEST(Bytes, base64_is_the_one_of_rfc_4648) {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"f", "Zg=="},
                                                           {"fo", "Zm8="},
                                                           {"foo", "Zm9v"},
                                                           {"foob", "Zm9vYg=="},
                                                           {"fooba", "Zm9vYmE="},
                                                           {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(to_base64(Bytes{0xff, 0xfe}), "//4=");
}

TEST(Bytes, numbers_are_little_endian) {
    const Bytes out = written([](ByteWriter& writer) {
        writer.u8(0x01);
        writer.u16(0x0203);
        writer.u32(0x04050607);
        writer.u64(0x08090a0b0c0d0e0f);
    });
    EXPECT_EQ(to_hex(out),
              "01"
              "0302"
              "07060504"
              "0f0e0d0c0b0a0908");
    ByteReader reader(out, "numbers");
    EXPECT_EQ(reader.u8(), 0x01);
    EXPECT_EQ(reader.u16(), 0x0203);
    EXPECT_EQ(reader.u32(), 0x04050607U);
    EXPECT_EQ(reader.u64(), 0x08090a0b0c0d0e0fU);
    EXPECT_TRUE(reader.done());
    reader.expect_done();
}

TEST(Bytes, varints_of_every_length_go_there_and_back) {
    for (int bits = 0; bits < 64; ++bits) {
        for (const std::uint64_t value :
             {std::uint64_t{1} << bits, (std::uint64_t{1} << bits) - 1, UINT64_MAX >> bits}) {
            const Bytes out = written([&](ByteWriter& writer) { writer.varint(value); });
            EXPECT_EQ(ByteReader(out, "varint").varint(), value);
        }
    }
    EXPECT_EQ(to_hex(written([](ByteWriter& writer) { writer.varint(300); })), "ac02");
}

TEST(Bytes, signed_numbers_near_zero_are_short) {
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{-64}, INT64_MAX, INT64_MIN}) {
        const Bytes out = written([&](ByteWriter& writer) { writer.zigzag(value); });
        EXPECT_EQ(ByteReader(out, "zigzag").zigzag(), value);
    }
    EXPECT_EQ(written([](ByteWriter& writer) { writer.zigzag(-64); }).size(), 1U);
}

TEST(Bytes, a_varint_that_is_too_large_or_never_ends_is_corrupt) {
    const Bytes large = from_hex("ffffffffffffffffff02").value();
    EXPECT_EQ(error_of([&] { ByteReader(large, "x").varint(); }).code(), Code::corrupt);
    const Bytes endless = from_hex("ffffffffffffffffffff01").value();
    EXPECT_EQ(error_of([&] { ByteReader(endless, "x").varint(); }).code(), Code::corrupt);
    const Bytes cut = from_hex("ff").value();
    EXPECT_EQ(error_of([&] { ByteReader(cut, "x").varint(); }).code(), Code::corrupt);
}

TEST(Bytes, strings_carry_their_length) {
    const Bytes out = written([](ByteWriter& writer) {
        writer.string("ab");
        writer.string(Bytes{0, 1});
        writer.string("");
        writer.raw(as_bytes("z"));
    });
    EXPECT_EQ(to_hex(out),
              "026162"
              "020001"
              "00"
              "7a");
    ByteReader reader(out, "strings");
    EXPECT_EQ(reader.string(), "ab");
    EXPECT_EQ(to_hex(reader.string_view()), "0001");
    EXPECT_EQ(reader.string(), "");
    EXPECT_EQ(reader.left(), 1U);
    EXPECT_EQ(reader.position(), 7U);
    EXPECT_EQ(as_text(reader.raw(1)), "z");
}

TEST(Bytes, what_is_too_short_says_what_it_is_and_where_it_ends) {
    const Bytes three{1, 2, 3};
    const Error error = error_of([&] { ByteReader(three, "the header").u32(); });
    EXPECT_EQ(error.code(), Code::corrupt);
    EXPECT_EQ(error.message(), "the header ends at byte 3: 4 more are needed, 3 are left");
    const Bytes long_string{200, 1, 'x'};
    EXPECT_EQ(error_of([&] { ByteReader(long_string, "x").string(); }).code(), Code::corrupt);
    EXPECT_EQ(error_of([&] { ByteReader(three, "x").array<4>(); }).code(), Code::corrupt);
    EXPECT_EQ(error_of([&] { ByteReader(three, "x").expect_done(); }).message(), "x has 3 bytes too many");
}

TEST(Bytes, a_damaged_count_cannot_ask_for_all_memory) {
    const Bytes out = written([](ByteWriter& writer) {
        writer.varint(UINT64_MAX);
        writer.u32(0);
    });
    EXPECT_EQ(error_of([&] { ByteReader(out, "x").count(1); }).code(), Code::corrupt);
    const Bytes right = written([](ByteWriter& writer) {
        writer.varint(2);
        writer.u32(0);
    });
    EXPECT_EQ(ByteReader(right, "x").count(2), 2U);
    EXPECT_EQ(error_of([&] { ByteReader(right, "x").count(3); }).code(), Code::corrupt);
    EXPECT_EQ(ByteReader(right, "x").count(0), 2U);
}

TEST(Bytes, empty_views_are_equal) {
    EXPECT_TRUE(equal({}, {}));
    EXPECT_TRUE(equal(as_bytes("ab"), to_bytes(as_bytes("ab"))));
    EXPECT_FALSE(equal(as_bytes("ab"), as_bytes("ac")));
    EXPECT_FALSE(equal(as_bytes("ab"), as_bytes("a")));
}

TEST(Bytes, ids_compare_by_their_bytes_and_show_as_hex) {
    const ShortId low = ShortId::from(Bytes{0, 1, 2, 3});
    const ShortId high = ShortId::from_hex_text("00010204").value();
    EXPECT_LT(low, high);
    EXPECT_EQ(low.hex(), "00010203");
    EXPECT_TRUE(ShortId{}.is_zero());
    EXPECT_FALSE(low.is_zero());
    EXPECT_FALSE(ShortId::from_hex_text("0001020"));
    EXPECT_FALSE(ShortId::from_hex_text("0001020304"));
    EXPECT_EQ(ShortId::from(Bytes{9}), ShortId::from(Bytes{9, 0, 0, 0}));
}

TEST(Secret, a_moved_one_is_empty_and_a_copy_is_its_own) {
    Secret first(as_bytes("hunter2"));
    const Secret copy = first;
    first.writable()[0] = 'H';
    EXPECT_EQ(as_text(copy.reveal()), "hunter2");
    const Secret moved = std::move(first);
    EXPECT_EQ(as_text(moved.reveal()), "Hunter2");
    EXPECT_TRUE(first.empty());  // NOLINT: that is what is tested
    EXPECT_EQ(Secret::of_size(3).size(), 3U);
}

}  // namespace
}  // namespace holdfast
