#include "engine/earlier.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace holdfast::engine {
namespace {

using repo::ChunkId;
using repo::Extent;

ChunkId chunk(std::uint8_t number) {
    ChunkId out;
    out.bytes[0] = number;
    return out;
}

// What extents give, when byte i of chunk n is n * 1000 + i.
std::vector<std::uint64_t> bytes_of(const std::vector<Extent>& content) {
    std::vector<std::uint64_t> out;
    for (const Extent& extent : content)
        for (std::uint64_t i = 0; i < extent.length; ++i)
            out.push_back(extent.is_hole() ? 0 : extent.chunk.bytes[0] * 1000ULL + extent.offset + i);
    return out;
}

TEST(Earlier, RunsGiveTheBytesThatTheyStandFor) {
    std::mt19937 random{5};
    const auto some = [&](std::size_t most) { return std::uniform_int_distribution<std::size_t>(0, most)(random); };
    for (int round = 0; round < 300; ++round) {
        std::vector<Extent> earlier, fresh;
        for (std::size_t i = 0; i <= some(6); ++i)
            earlier.push_back({chunk(static_cast<std::uint8_t>(i % 3)),
                               static_cast<std::uint32_t>(i % 3 == 0 ? 0 : some(50)), 1 + some(40)});
        for (std::size_t i = 0; i <= some(3); ++i)
            fresh.push_back({chunk(static_cast<std::uint8_t>(10 + i)), 0, 1 + some(40)});
        const auto before = bytes_of(earlier), read = bytes_of(fresh);
        std::vector<ContentRun> runs;
        std::vector<std::uint64_t> expected;
        std::uint64_t at_fresh = 0;
        while (at_fresh < read.size()) {
            const std::uint64_t from = some(before.size() - 1), taken = some(before.size() - from);
            add_run(runs, {true, from, taken});
            for (std::uint64_t i = 0; i < taken; ++i) expected.push_back(before[from + i]);
            const std::uint64_t came = std::min<std::uint64_t>(1 + some(20), read.size() - at_fresh);
            add_run(runs, {false, at_fresh, came});
            for (std::uint64_t i = 0; i < came; ++i) expected.push_back(read[at_fresh + i]);
            at_fresh += came;
        }
        EXPECT_EQ(bytes_of(joined(runs, earlier, fresh)), expected);
    }
}

TEST(Earlier, WhatGoesOnIsOneExtentAgain) {
    const std::vector<Extent> earlier{{chunk(1), 0, 100}, {chunk(2), 0, 100}};
    std::vector<ContentRun> runs;
    for (std::uint64_t at = 0; at < 200; at += 10) add_run(runs, {true, at, 10});
    EXPECT_EQ(runs.size(), 1U);
    EXPECT_EQ(joined(runs, earlier, {}), earlier);
    EXPECT_EQ(joined({{true, 0, 30}, {true, 30, 70}, {true, 100, 100}}, earlier, {}), earlier);
}

TEST(Earlier, KeepsWhatIsWhole) {
    const Earlier earlier({{chunk(1), 0, 1000}, {chunk(2), 0, 500}});
    EXPECT_EQ(earlier.kept(), (std::vector<ByteRange>{{0, 1500}}));
}

TEST(Earlier, AChunkOfWhichLittleIsInUseIsGivenUp) {
    const Earlier earlier({{chunk(1), 0, 100}, {chunk(2), 0, 500}, {chunk(1), 900, 100}});
    EXPECT_EQ(earlier.kept(), (std::vector<ByteRange>{{100, 600}}));
}

TEST(Earlier, AStretchInTooManyPiecesIsGivenUp) {
    std::vector<Extent> content;
    for (std::uint32_t i = 0; i < 3000; ++i)
        content.push_back({chunk(static_cast<std::uint8_t>(1 + i % 2)), i / 2 * 400, 400});
    content.push_back({chunk(9), 0, 5'000'000});
    const Earlier earlier(std::move(content));
    ASSERT_FALSE(earlier.kept().empty());
    EXPECT_EQ(earlier.kept().back(), (ByteRange{1'048'800, 6'200'000}));
    for (const ByteRange& range : earlier.kept()) EXPECT_GE(range.begin, 1'048'800U);
}

}  // namespace
}  // namespace holdfast::engine
