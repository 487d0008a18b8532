#include "codec/compress.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <random>

#include "base/error.h"

namespace holdfast::codec {

namespace {

Bytes noise(unsigned seed, std::size_t count) {
    std::mt19937 random(seed);
    Bytes out(count);
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random());
    return out;
}

Bytes text(std::size_t count) {
    Bytes out;
    ByteWriter writer(out);
    for (unsigned line = 0; out.size() < count; ++line)
        writer.raw(as_bytes("line " + std::to_string(line) + " of a log\n"));
    out.resize(count);
    return out;
}

Bytes prose(std::size_t count) {
    std::mt19937 random(7);
    std::vector<std::string> words(3000);
    for (std::string& word : words)
        for (auto letters = 2 + random() % 9; letters > 0; --letters) word += static_cast<char>('a' + random() % 26);
    Bytes out;
    ByteWriter writer(out);
    while (out.size() < count) writer.raw(as_bytes(words[std::min(random() % 3000, random() % 3000)] + ' '));
    out.resize(count);
    return out;
}

Bytes plain_of(Codec codec, ByteView packed, std::size_t bytes_max) {
    Bytes plain = noise(99, 10);
    Decompressor()(codec, packed, bytes_max, plain);
    return plain;
}

Code failure_of(Codec codec, ByteView packed, std::size_t bytes_max) {
    try {
        plain_of(codec, packed, bytes_max);
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

Bytes frame_of(ByteView plain) {
    Bytes out;
    EXPECT_EQ(Compressor()(plain, out), Codec::zstd);
    return out;
}

TEST(Compressor, gives_back_what_it_got) {
    Decompressor decompressor;
    Bytes packed;
    Bytes plain;
    for (const Compression how : {Compression::off, Compression::fast, Compression::balanced, Compression::small}) {
        Compressor compressor(how);
        for (const std::size_t size : {0U, 1U, 31U, 32U, 33U, 100U, 4096U, 300'000U}) {
            for (const Bytes& data : {noise(1, size), text(size), Bytes(size, 0)}) {
                const Codec codec = compressor(data, packed);
                decompressor(codec, packed, size, plain);
                EXPECT_EQ(plain, data) << size;
            }
        }
    }
}

TEST(Compressor, does_as_much_work_as_it_is_told) {
    const Bytes data = prose(300'000);
    std::vector<std::size_t> sizes;
    for (const std::string_view name : compressions) {
        Bytes packed;
        const Codec codec = Compressor(*compression_named(name))(data, packed);
        EXPECT_EQ(codec, name == "off" ? Codec::stored : Codec::zstd) << name;
        sizes.push_back(packed.size());
    }
    EXPECT_EQ(sizes[0], data.size());
    EXPECT_TRUE(std::ranges::is_sorted(sizes, std::greater())) << ::testing::PrintToString(sizes);
    EXPECT_FALSE(compression_named("max"));
}

TEST(Compressor, stores_what_would_not_become_smaller_by_a_32nd) {
    Compressor compressor;
    Bytes packed;
    const Bytes data = noise(2, 100'000);
    EXPECT_EQ(compressor(data, packed), Codec::stored);
    EXPECT_EQ(packed, data);
    EXPECT_EQ(compressor({}, packed), Codec::stored);
    EXPECT_TRUE(packed.empty());

    Bytes nearly = data;
    std::fill_n(nearly.begin(), 2000, std::uint8_t{0});
    EXPECT_EQ(compressor(nearly, packed), Codec::stored);
    std::fill_n(nearly.begin(), 5000, std::uint8_t{0});
    EXPECT_EQ(compressor(nearly, packed), Codec::zstd);
    EXPECT_LE(packed.size(), nearly.size() - nearly.size() / 32);
}

TEST(Compressor, works_on_after_what_it_could_not_pack) {
    Compressor compressor;
    Bytes first;
    Bytes again;
    EXPECT_EQ(compressor(text(50'000), first), Codec::zstd);
    compressor(noise(3, 200'000), again);
    EXPECT_EQ(compressor(text(50'000), again), Codec::zstd);
    EXPECT_EQ(plain_of(Codec::zstd, again, 50'000), text(50'000));
}

TEST(Compressor, writes_the_size_and_no_checksum) {
    const Bytes frame = frame_of(text(10'000));
    EXPECT_EQ(ZSTD_getFrameContentSize(frame.data(), frame.size()), 10'000U);
    constexpr unsigned checksum_flag = 1U << 2;
    EXPECT_EQ(frame[4] & checksum_flag, 0U);
}

TEST(Decompressor, refuses_more_than_can_be) {
    const Bytes frame = frame_of(Bytes(1 << 20, 0));
    EXPECT_EQ(plain_of(Codec::zstd, frame, 1 << 20).size(), 1U << 20);
    EXPECT_EQ(failure_of(Codec::zstd, frame, (1 << 20) - 1), Code::corrupt);
    EXPECT_EQ(plain_of(Codec::stored, frame, frame.size()), frame);
    EXPECT_EQ(failure_of(Codec::stored, frame, frame.size() - 1), Code::corrupt);
}

// 28 bytes that say they hold 2^60; nothing of that size may be asked of the machine.
TEST(Decompressor, does_not_allocate_what_a_frame_only_claims) {
    Bytes frame;
    ByteWriter writer(frame);
    writer.u32(ZSTD_MAGICNUMBER);
    writer.u8(0xe0);  // one segment, content size of 8 bytes
    writer.u64(std::uint64_t{1} << 60);
    frame.resize(28);
    EXPECT_EQ(failure_of(Codec::zstd, frame, 64 << 20), Code::corrupt);
}

TEST(Decompressor, refuses_what_is_not_exactly_one_frame) {
    const Bytes frame = frame_of(text(1000));
    for (std::size_t size = 0; size < frame.size(); ++size)
        EXPECT_EQ(failure_of(Codec::zstd, ByteView(frame).first(size), 1000), Code::corrupt) << size;

    Bytes longer = frame;
    longer.push_back(0);
    EXPECT_EQ(failure_of(Codec::zstd, longer, 1000), Code::corrupt);
    Bytes twice = frame;
    twice.insert(twice.end(), frame.begin(), frame.end());
    EXPECT_EQ(failure_of(Codec::zstd, twice, 5000), Code::corrupt);

    Bytes skippable;
    ByteWriter writer(skippable);
    writer.u32(ZSTD_MAGIC_SKIPPABLE_START);
    writer.u32(4);
    writer.u32(0);
    EXPECT_EQ(failure_of(Codec::zstd, skippable, 1000), Code::corrupt);
}

TEST(Decompressor, refuses_a_frame_without_its_size) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    const Bytes data = text(1000);
    Bytes frame(ZSTD_compressBound(data.size()));
    frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), data.data(), data.size()));
    ZSTD_freeCCtx(context);
    EXPECT_EQ(failure_of(Codec::zstd, frame, 1000), Code::corrupt);
}

TEST(Decompressor, of_damage_either_refuses_or_gives_the_size_that_was_named) {
    const Bytes frame = frame_of(text(1000));
    for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
        Bytes damaged = frame;
        damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
        try {
            EXPECT_LE(plain_of(Codec::zstd, damaged, 2000).size(), 2000U);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
        }
    }
}

TEST(Decompressor, refuses_a_codec_it_does_not_know) {
    EXPECT_EQ(failure_of(static_cast<Codec>(7), {}, 1000), Code::newer_format);
}

}  // namespace

}  // namespace holdfast::codec
