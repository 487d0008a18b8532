#include "codec/stream_cutter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "codec/test_help.h"
#include "crypto/crypto.h"

namespace holdfast::codec {

namespace {

std::uint64_t hash_of(ByteView bytes) {
    std::uint64_t out;
    std::memcpy(&out, crypto::sha256(bytes).data(), sizeof out);
    return out;
}

std::vector<Bytes> records_of(std::uint32_t seed, std::size_t count, std::size_t bytes_max) {
    std::mt19937 random(seed);
    std::vector<Bytes> out(count);
    for (Bytes& each : out) {
        each.resize(1 + random() % bytes_max);
        for (std::uint8_t& byte : each) byte = static_cast<std::uint8_t>(random());
    }
    return out;
}

Bytes joined(const std::vector<Bytes>& records) {
    Bytes out;
    for (const Bytes& each : records) append(out, each);
    return out;
}

// As the engine does it: pieces of some length, and of each the records that end in it.
std::vector<std::size_t> cut(const Chunker& chunker, const std::vector<Bytes>& records, std::size_t piece_bytes) {
    StreamCutter cutter(chunker, true);
    const Bytes all = joined(records);
    std::vector<std::size_t> out;
    std::size_t begin = 0, end = 0, number = 0, record_end = 0;
    while (true) {
        const std::size_t next = std::min(all.size(), end + piece_bytes);
        for (; number < records.size() && record_end + records[number].size() <= next; ++number) {
            record_end += records[number].size();
            cutter.record(record_end - begin, records[number].size(), hash_of(records[number]));
        }
        const bool last = end == all.size();
        end = next;
        while (begin < end) {
            const std::size_t length = cutter.next(ByteView(all).subspan(begin, end - begin), last);
            if (length == 0) break;
            out.push_back(length);
            begin += length;
        }
        if (last) return out;
    }
}

std::set<std::size_t> record_ends(const std::vector<Bytes>& records) {
    std::set<std::size_t> out;
    std::size_t at = 0;
    for (const Bytes& each : records) out.insert(at += each.size());
    return out;
}

TEST(StreamCutter, cuts_behind_records_and_chunks_get_their_mean) {
    const Chunker chunker(small, key_of(0));
    const std::vector<Bytes> records = records_of(1, 20'000, 200);
    const std::vector<std::size_t> lengths = cut(chunker, records, 5000);
    const std::set<std::size_t> ends = record_ends(records);
    std::size_t behind = 0;
    for (const std::size_t end : ends_of(lengths)) behind += ends.contains(end) ? 1U : 0U;
    EXPECT_GE(behind, lengths.size() * 99 / 100) << "all but chunks without a chosen end in them";
    for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
        EXPECT_GE(lengths[i], small.min);
        EXPECT_LE(lengths[i], small.max);
    }
    const double mean = std::accumulate(lengths.begin(), lengths.end(), 0.0) / static_cast<double>(lengths.size());
    EXPECT_NEAR(mean, small.mean, small.mean / 10.0);
}

TEST(StreamCutter, how_it_was_read_makes_no_difference) {
    const Chunker chunker(small, key_of(0));
    for (const std::size_t bytes_max : {30U, 3000U, 60'000U}) {
        const std::vector<Bytes> records = records_of(2, 4'000'000 / bytes_max / 4, bytes_max);
        const std::vector<std::size_t> expected = cut(chunker, records, std::size_t{1} << 30);
        for (const std::size_t piece_bytes : {100U, 1000U, 16384U, 50'000U})
            EXPECT_EQ(cut(chunker, records, piece_bytes), expected) << bytes_max << " by " << piece_bytes;
    }
}

TEST(StreamCutter, after_an_insertion_cuts_fall_where_they_fell) {
    const Chunker chunker(small, key_of(0));
    std::vector<Bytes> records = records_of(3, 20'000, 200);
    const std::set<std::size_t> before = ends_of(cut(chunker, records, 5000));
    const Bytes fresh = records_of(4, 1, 200).front();
    records.insert(records.begin() + 3000, fresh);
    std::size_t same = 0;
    for (const std::size_t end : ends_of(cut(chunker, records, 5000)))
        same += before.contains(end) || before.contains(end - fresh.size()) ? 1U : 0U;
    EXPECT_GE(same + 20, before.size());
}

TEST(StreamCutter, a_large_record_is_cut_by_its_bytes) {
    const Chunker chunker(small, key_of(0));
    const std::vector<Bytes> records = records_of(5, 1, 400'000);
    EXPECT_EQ(records.size(), 1U);
    const Bytes& bytes = records.front();
    std::vector<std::size_t> expected;
    for (ByteView left = bytes; !left.empty(); left = left.subspan(expected.back()))
        expected.push_back(left.size() >= small.max ? chunker.first_cut(left, true) : left.size());
    EXPECT_EQ(cut(chunker, records, 7000), expected);
    EXPECT_GT(expected.size(), bytes.size() / small.max);
}

TEST(StreamCutter, where_it_cuts_hangs_on_the_key) {
    const std::vector<Bytes> records = records_of(6, 5000, 200);
    EXPECT_NE(cut(Chunker(small, key_of(0)), records, 5000), cut(Chunker(small, key_of(1)), records, 5000));
}

TEST(StreamCutter, without_records_it_is_the_chunkers) {
    const Chunker chunker(small, key_of(0));
    const Bytes bytes = joined(records_of(7, 1000, 200));
    StreamCutter cutter(chunker, false);
    for (ByteView left = bytes; !left.empty();) {
        const std::size_t length = cutter.next(left, true);
        ASSERT_EQ(length, chunker.first_cut(left, true));
        left = left.subspan(length);
    }
}

}  // namespace

}  // namespace holdfast::codec
