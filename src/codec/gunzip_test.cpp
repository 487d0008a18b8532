#include "codec/gunzip.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "codec/gzip.h"

namespace holdfast::codec {
namespace {

Bytes packed(ByteView plain) {
    Bytes out;
    GzipWriter writer(6, [&](ByteView piece) { append(out, piece); });
    writer.add(plain);
    writer.finish();
    return out;
}

Bytes unpacked(ByteView stream, std::size_t piece) {
    Bytes out;
    GzipReader reader([&](ByteView bytes) { append(out, bytes); });
    for (std::size_t at = 0; at < stream.size(); at += piece)
        reader.add(stream.subspan(at, std::min(piece, stream.size() - at)));
    reader.finish();
    return out;
}

TEST(GzipReader, gives_back_what_was_packed_however_it_comes) {
    Bytes plain(300'000);
    for (std::size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<std::uint8_t>(i * i >> 7);
    const Bytes stream = packed(plain);
    EXPECT_TRUE(is_gzip(stream));
    for (const std::size_t piece : {1UL, 17UL, 65536UL, stream.size()})
        EXPECT_TRUE(equal(unpacked(stream, piece), plain));
}

TEST(GzipReader, members_that_follow_each_other_are_one_stream) {
    Bytes two = packed(as_bytes("one "));
    append(two, packed(as_bytes("two")));
    EXPECT_EQ(as_text(unpacked(two, 5)), "one two");
}

TEST(GzipReader, a_stream_that_is_cut_damaged_or_none_is_refused) {
    Bytes stream = packed(as_bytes("some text that is long enough"));
    EXPECT_THROW(unpacked(ByteView(stream).first(stream.size() - 1), 100), Error);
    stream[stream.size() - 5] ^= 1;  // of its checksum
    EXPECT_THROW(unpacked(stream, 100), Error);
    EXPECT_THROW(unpacked(as_bytes("no gzip at all"), 100), Error);
    EXPECT_FALSE(is_gzip(as_bytes("no gzip at all")));
}

}  // namespace
}  // namespace holdfast::codec
