#include "repo/index.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/decorator.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

class CountingStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t count) override {
        ++requests;
        bytes += count;
        return StoreDecorator::read_range(name, offset, count);
    }
    int requests = 0;
    std::uint64_t bytes = 0;
};

class IndexOf : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    std::unique_ptr<Repository> repository_ = world_.open();

    ChunkId random_id() { return ChunkId{world_.sim.random.array<32>()}; }
    std::vector<PackContents> packs(std::size_t count, std::size_t chunks) {
        std::vector<PackContents> out;
        for (std::size_t i = 0; i < count; ++i) {
            PackContents pack{{PackKind::data, PackId{world_.sim.random.array<32>()}}, 1000, {}};
            for (std::uint32_t j = 0; j < chunks; ++j) pack.places.push_back({random_id(), j * 100, 100});
            out.push_back(pack);
        }
        return out;
    }
    KnownFragment store(const std::vector<PackContents>& contents) {
        const EncodedFragment fragment = encode_fragment(repository_->keys(), contents, world_.sim.random);
        world_.store.create("index/" + fragment.body.id.hex(), fragment.bytes);
        return {repository_->keys().own_id(), fragment.body};
    }
};

TEST_F(IndexOf, finds_every_chunk_and_nothing_else) {
    const auto contents = packs(20, 400);  // several blocks
    Index index(world_.store, repository_->keys());
    index.load({store(contents)});
    EXPECT_EQ(index.chunks(), 8000U);
    for (const PackContents& pack : contents) {
        for (const ChunkPlace& place : pack.places) {
            const auto found = index.find(place.id);
            ASSERT_EQ(found.size(), 1U);
            EXPECT_EQ(found[0].pack, pack.pack);
            EXPECT_EQ(found[0].offset, place.offset);
        }
    }
    for (int i = 0; i < 2000; ++i) EXPECT_TRUE(index.find(random_id()).empty());
    std::size_t scanned = 0;
    index.fragments()[0]->scan([&](const ChunkPrefix&, const Location&) { ++scanned; });
    EXPECT_EQ(scanned, 8000U);
}

TEST_F(IndexOf, finds_many_at_once_by_few_requests) {
    const auto contents = packs(30, 5000);  // 65 blocks
    CountingStore store(world_.store);
    Index index(store, repository_->keys());
    index.load({this->store(packs(1, 3)), this->store(contents)});
    store.requests = 0;
    std::vector<ChunkId> ids;
    for (std::size_t i = 0; i < 5000; ++i)
        for (const PackContents& pack : contents)
            if ((i + pack.places.size()) % 2 == 0) ids.push_back(pack.places[i].id);
    for (int i = 0; i < 1000; ++i) ids.push_back(random_id());
    const auto found = index.find_all(ids);
    EXPECT_LE(store.requests, 3);
    ASSERT_EQ(found.size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const auto alone = index.find(ids[i]);
        ASSERT_EQ(found[i].size(), alone.size());
        ASSERT_EQ(alone.size(), i + 1000 < ids.size() ? 1U : 0U);
        if (!alone.empty()) {
            ASSERT_EQ(found[i][0].pack, alone[0].pack);
            ASSERT_EQ(found[i][0].offset, alone[0].offset);
        }
    }
    EXPECT_LE(store.requests, 3) << "what was read is kept";
}

TEST_F(IndexOf, many_that_are_found_one_by_one_do_not_cost_a_request_each) {
    const auto contents = packs(30, 5000);
    const KnownFragment known = store(contents);
    CountingStore counting(world_.store);
    Index index(counting, repository_->keys());
    index.load({known});
    counting.requests = 0;
    for (const PackContents& pack : contents)
        for (std::size_t i = 0; i < pack.places.size(); i += 50) ASSERT_TRUE(index.knows(pack.places[i].id));
    EXPECT_LE(counting.requests, 40) << "of 65 blocks, 3000 times";
}

TEST_F(IndexOf, an_index_beyond_the_cache_costs_a_block_each_miss) {
    constexpr std::size_t block_bytes = 64 * 1024;
    const auto contents = packs(130, 10'000);  // 556 blocks
    const KnownFragment known = store(contents);
    CountingStore counting(world_.store);
    Index index(counting, repository_->keys());
    index.load({known});
    counting.requests = 0;
    counting.bytes = 0;
    for (const PackContents& pack : contents) ASSERT_TRUE(index.knows(pack.places[0].id));
    EXPECT_LE(counting.requests, 130);
    EXPECT_LE(counting.bytes, 130 * block_bytes);
}

TEST_F(IndexOf, what_a_damaged_block_names_is_left_out_of_many) {
    const auto contents = packs(10, 2000);
    const KnownFragment known = store(contents);
    world_.flip("index/" + known.body.id.hex(), 300'000);
    Index index(world_.store, repository_->keys());
    index.load({known});
    std::vector<ChunkId> ids;
    for (const PackContents& pack : contents)
        for (const ChunkPlace& place : pack.places) ids.push_back(place.id);
    std::size_t found = 0;
    for (const auto& places : index.find_all(ids)) found += places.size();
    EXPECT_LT(found, ids.size());
    EXPECT_GT(found, ids.size() / 2);
}

TEST_F(IndexOf, keeps_two_bytes_a_chunk_in_memory) {
    const auto contents = packs(100, 400);
    Index index(world_.store, repository_->keys());
    index.load({store(contents)});
    EXPECT_LE(index.resident_bytes(), 40000U * 3);
}

TEST_F(IndexOf, excluded_packs_count_as_absent) {
    const auto contents = packs(2, 1);
    Index index(world_.store, repository_->keys());
    index.load({store(contents)});
    index.exclude({contents[0].pack.id});
    EXPECT_TRUE(index.find(contents[0].places[0].id).empty());
    EXPECT_EQ(index.find(contents[0].places[0].id, true).size(), 1U);
    EXPECT_FALSE(index.knows(contents[0].places[0].id));
    EXPECT_TRUE(index.knows(contents[1].places[0].id));
}

TEST_F(IndexOf, chunks_of_an_author_who_is_not_believed_are_not_known_but_can_be_read) {
    const auto contents = packs(1, 1);
    KnownFragment fragment = store(contents);
    fragment.author = SignerId{{9}};
    Index index(world_.store, repository_->keys());
    index.load({fragment});
    EXPECT_FALSE(index.knows(contents[0].places[0].id));
    EXPECT_EQ(index.find(contents[0].places[0].id).size(), 1U);
}

TEST_F(IndexOf, every_damaged_byte_of_a_fragment_is_refused) {
    const auto contents = packs(2, 20);
    const KnownFragment known = store(contents);
    const std::string object = "index/" + known.body.id.hex();
    const Bytes whole = *world_.store.read(object);
    std::size_t refused = 0, harmless = 0;
    for (std::size_t at = 0; at < whole.size(); at += 5) {
        Bytes damaged = whole;
        damaged[at] ^= 0x40;
        world_.store.overwrite(object, damaged);
        try {
            Index index(world_.store, repository_->keys());
            index.load({known});
            const std::size_t places = index.find(contents[0].places[0].id).size();
            ASSERT_EQ(places, index.unloaded().empty() ? 1U : 0U);
            ++(places == 1 ? harmless : refused);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
            ++refused;
        }
    }
    EXPECT_GT(refused, harmless * 20);  // only the four bytes that repeat the header's length say nothing
}

TEST_F(IndexOf, what_a_damaged_block_names_is_not_known_and_the_rest_is) {
    const auto contents = packs(10, 400);
    const KnownFragment known = store(contents);
    const std::string object = "index/" + known.body.id.hex();
    world_.flip(object, 100'000);
    Index index(world_.store, repository_->keys());
    index.load({known});
    ASSERT_TRUE(index.unloaded().empty()) << "the header is whole";
    const auto known_of = [&] {
        std::size_t count = 0;
        for (const PackContents& pack : contents)
            for (std::size_t i = 0; i < 400; i += 40) count += index.knows(pack.places[i].id) ? 1U : 0U;
        return count;
    };
    EXPECT_GT(known_of(), 10U);
    EXPECT_LT(known_of(), 100U);
    index.load({known, store(contents)});
    EXPECT_EQ(known_of(), 100U);
}

TEST_F(IndexOf, a_missing_fragment_hides_what_only_it_names) {
    const auto lost = packs(1, 1), kept = packs(1, 1);
    const KnownFragment gone = store(lost), there = store(kept);
    const std::string object = "index/" + gone.body.id.hex();
    const Bytes bytes = *world_.store.read(object);
    world_.store.remove(object);
    Index index(world_.store, repository_->keys());
    index.load({gone, there});
    ASSERT_EQ(index.unloaded().size(), 1U);
    EXPECT_EQ(index.unloaded()[0].known.body.id, gone.body.id);
    EXPECT_TRUE(index.find(lost[0].places[0].id).empty());
    EXPECT_EQ(index.find(kept[0].places[0].id).size(), 1U);
    world_.store.create(object, bytes);
    index.load({gone, there});
    EXPECT_TRUE(index.unloaded().empty());
    EXPECT_EQ(index.find(lost[0].places[0].id).size(), 1U);
}

}  // namespace
}  // namespace holdfast::repo
