#include "codec/chunker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "base/error.h"
#include "codec/test_help.h"

namespace holdfast::codec {

namespace {

std::vector<std::size_t> chunk_sizes(const Chunker& chunker, ByteView bytes) {
    std::vector<std::size_t> out;
    while (!bytes.empty()) {
        out.push_back(chunker.first_cut(bytes, true));
        bytes = bytes.subspan(out.back());
    }
    return out;
}

// As a reader does it: a buffer that grows by what a read gave, until there is a cut in it.
std::vector<std::size_t> chunk_sizes_by_reads(const Chunker& chunker, ByteView bytes, std::mt19937& random) {
    std::vector<std::size_t> out;
    for (std::size_t held = 0; !bytes.empty();) {
        held = std::min(bytes.size(), held + random() % 5000);
        const std::size_t cut = chunker.first_cut(bytes.first(held), held == bytes.size());
        if (cut == 0) continue;
        out.push_back(cut);
        bytes = bytes.subspan(cut);
        held -= cut;
    }
    return out;
}

// Made by a second implementation (Python), written from doc/format/chunks.md.
TEST(Chunker, cuts_where_it_always_did) {
    const std::vector<std::size_t> of_small{5908,  2746, 1144, 1463, 3727, 1881, 2352, 1527, 3109, 2643,
                                            15837, 1096, 1542, 1564, 2464, 1501, 4265, 4964, 3505, 2298};
    EXPECT_EQ(chunk_sizes(Chunker(small, key_of(0)), noise(1, 65536)), of_small);
    const std::vector<std::size_t> of_default{582327, 1621023, 942378};
    EXPECT_EQ(chunk_sizes(Chunker({}, key_of(0)), noise(2, 3 << 20)), of_default);
}

TEST(Chunker, cuts_do_not_depend_on_how_bytes_arrive) {
    const Chunker chunker(small, key_of(0));
    std::mt19937 random(1);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Bytes data = noise(seed, 1 + random() % 200'000);
        EXPECT_EQ(chunk_sizes_by_reads(chunker, data, random), chunk_sizes(chunker, data)) << seed;
    }
}

// Chunks of 4096 bytes and more are searched in lanes, the rest byte by byte: neither passes a cut over or sees another one.
TEST(Chunker, cuts_at_the_first_place_that_may_be_one_wherever_it_lies) {
    const ChunkSizes sizes{.min = 64, .mean = 20'000, .max = 60'000};
    const Chunker chunker(sizes, key_of(0));
    std::set<std::size_t> seen;  // lanes and the rest
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const Bytes data = noise(seed, 20'000 + 97 * seed);
        const std::size_t cut = chunker.first_cut(data, true);
        // What ends just before a cut has none, and with it as its last byte has just that one.
        if (cut == data.size()) continue;
        EXPECT_EQ(chunker.first_cut(ByteView(data).first(cut), false), cut) << seed;
        EXPECT_EQ(chunker.first_cut(ByteView(data).first(cut - 1), false), 0U) << seed;
        // The same 64 bytes cut wherever they come first.
        for (const std::size_t earlier : {std::size_t{1}, std::size_t{64}, std::size_t{1000}, std::size_t{3000}}) {
            if (cut < sizes.min + earlier) continue;
            EXPECT_EQ(chunker.first_cut(ByteView(data).subspan(earlier), true), cut - earlier)
                << seed << " " << earlier;
        }
        seen.insert((cut - sizes.min) / 1024 % 4);
    }
    EXPECT_EQ(seen.size(), 4U);
}

TEST(Chunker, makes_chunks_within_its_limits_and_near_its_mean) {
    const Bytes data = noise(3, 2 << 20);
    std::vector<std::size_t> sizes = chunk_sizes(Chunker(small, key_of(0)), data);
    EXPECT_NEAR(static_cast<double>(data.size()) / static_cast<double>(sizes.size()), small.mean, small.mean / 10.0);
    sizes.pop_back();
    EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), small.min);
    EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), small.max);
}

TEST(Chunker, falls_back_into_step_after_an_insertion_a_removal_or_a_change) {
    const Chunker chunker(small, key_of(0));
    const Bytes data = noise(4, 400'000);
    const auto before = ends_of(chunk_sizes(chunker, data));
    std::mt19937 random(2);
    for (int round = 0; round < 15; ++round) {
        const std::size_t at = 1000 + random() % 100'000;
        const std::size_t size = 1 + random() % 500;
        Bytes edited = data;
        const auto place = edited.begin() + static_cast<std::ptrdiff_t>(at);
        std::ptrdiff_t shift = 0;
        if (round % 3 == 0) {
            const Bytes inserted = noise(random(), size);
            edited.insert(place, inserted.begin(), inserted.end());
            shift = static_cast<std::ptrdiff_t>(size);
        } else if (round % 3 == 1) {
            edited.erase(place, place + static_cast<std::ptrdiff_t>(size));
            shift = -static_cast<std::ptrdiff_t>(size);
        } else {
            *place ^= 1;
        }
        // Far from the edit every cut is where it was, moved along with its bytes.
        const auto after = ends_of(chunk_sizes(chunker, edited));
        const std::size_t in_step = at + 8 * small.max;
        for (const std::size_t end : before)
            if (end > in_step) {
                EXPECT_TRUE(after.contains(end + static_cast<std::size_t>(shift))) << round << ' ' << end;
            }
        for (const std::size_t end : before)
            if (end <= at) {
                EXPECT_TRUE(after.contains(end)) << round << ' ' << end;
            }
    }
}

TEST(Chunker, a_cut_hangs_on_the_64_bytes_before_it_only) {
    const Chunker chunker(small, key_of(0));
    const Bytes data = noise(5, 100'000);
    const std::size_t cut = chunker.first_cut(data, true);
    ASSERT_LT(cut, small.max);
    const ByteView window = ByteView(data).subspan(cut - 64, 64);
    for (const std::size_t before : {small.min - 64, small.min, small.min + 5000}) {
        Bytes other(before, 0);
        other.insert(other.end(), window.begin(), window.end());
        other.resize(small.max, 0);
        EXPECT_EQ(chunker.first_cut(other, true), before + window.size());
    }
}

TEST(Chunker, depends_on_its_key) {
    const Bytes data = noise(7, 200'000);
    EXPECT_NE(chunk_sizes(Chunker(small, key_of(0)), data), chunk_sizes(Chunker(small, key_of(1)), data));
}

TEST(Chunker, asks_for_more_until_there_is_a_cut) {
    const Chunker chunker(small, key_of(0));
    const Bytes data = noise(8, 100'000);
    EXPECT_EQ(chunker.first_cut({}, false), 0U);
    EXPECT_EQ(chunker.first_cut({}, true), 0U);
    const std::size_t cut = chunker.first_cut(data, false);
    for (std::size_t size = 1; size < cut; size += 13) {
        EXPECT_EQ(chunker.first_cut(ByteView(data).first(size), false), 0U);
        EXPECT_EQ(chunker.first_cut(ByteView(data).first(size), true), size);
    }
    EXPECT_EQ(chunker.first_cut(ByteView(data).first(cut - 1), false), 0U);
    EXPECT_EQ(chunker.first_cut(ByteView(data).first(cut), false), cut);
}

TEST(Chunker, cuts_bytes_that_are_all_the_same_at_the_largest_size) {
    const Chunker chunker(small, key_of(0));
    const Bytes zeros(small.max * 2, 0);
    EXPECT_EQ(chunker.first_cut(zeros, false), small.max);
    EXPECT_EQ(chunker.first_cut(ByteView(zeros).first(small.max), false), small.max);
    EXPECT_EQ(chunker.first_cut(ByteView(zeros).first(small.max - 1), false), 0U);
}

TEST(Chunker, refuses_sizes_that_make_no_sense) {
    for (const ChunkSizes sizes : {ChunkSizes{63, 128, 256}, ChunkSizes{64, 64, 256}, ChunkSizes{64, 128, 128},
                                   ChunkSizes{128, 64, 256}, ChunkSizes{0, 0, 0}})
        EXPECT_THROW(Chunker(sizes, key_of(0)), Error);
    EXPECT_NO_THROW(Chunker({64, 65, 66}, key_of(0)));
}

// doc/format/chunks.md
TEST(Chunker, of_records_the_key_chooses_those_that_may_end_a_chunk) {
    const Chunker chunker({}, key_of(0));
    std::vector<std::uint64_t> chosen;
    for (std::uint64_t hash = 0; chosen.size() < 4; ++hash)
        if (chunker.may_cut_behind(hash, 1000)) chosen.push_back(hash);
    EXPECT_EQ(chosen, (std::vector<std::uint64_t>{77, 205, 477, 1016}));
    EXPECT_TRUE(chunker.may_cut_behind(0, ChunkSizes{}.mean - ChunkSizes{}.min));
    EXPECT_FALSE(chunker.may_cut_behind(0, 0));
}

}  // namespace

}  // namespace holdfast::codec
