#include "repo/state.h"

#include <gtest/gtest.h>

#include "repo/session.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

struct Row {
    std::string folder, name;
    std::uint64_t version;
};

class State : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    std::unique_ptr<Repository> repository_ = world_.open();

    std::uint64_t tag(const Row& row) { return state_tag(repository_->keys(), join_path(row.folder, row.name)); }

    ChunkId write(const std::vector<Row>& rows) {
        Session session(*repository_, Session::Mode::write);
        TreeWriter tree(repository_->keys(), session.packs());
        StateWriter state(repository_->keys(), session.packs());
        for (const Row& row : rows) {
            TreeEntry entry;
            entry.item.path = join_path(row.folder, row.name);
            state.add(row.folder, {tag(row), row.version, {{ChunkId{{1}}, 0, 5}}, 5});
            if (const auto ended = tree.add(entry)) state.end_leaf(*ended);
        }
        if (const auto ended = tree.end_leaf()) state.end_leaf(*ended);
        tree.finish();
        const ChunkId root = state.finish(3);
        session.publish_and_close();
        return root;
    }
    // Enough rows for several blocks, in tree order.
    static std::vector<Row> rows(std::size_t folders, std::size_t each) {
        std::vector<Row> out;
        for (std::size_t i = 0; i < folders; ++i)
            for (std::size_t j = 0; j < each; ++j)
                out.push_back(
                    {fmt::format("/folder-{:04}", i), fmt::format("name-{:05}-{}", j, std::string(40, 'n')), j + 1});
        return out;
    }
    std::size_t found(StateReader& reader, const std::vector<Row>& asked) {
        std::size_t hits = 0;
        std::string folder;
        for (const Row& row : asked) {
            if (row.folder != folder) reader.begin_folder(folder = row.folder);
            const auto match = reader.match(tag(row));
            if (!match) continue;
            ++hits;
            EXPECT_EQ((*match)->version, row.version);
            EXPECT_EQ((*match)->content.size(), 1U);
        }
        return hits;
    }
};

TEST_F(State, finds_every_row_again) {
    const auto all = rows(50, 60);
    StateReader reader(repository_->keys(), repository_->chunks(), write(all));
    EXPECT_EQ(reader.gc_number(), 3U);
    EXPECT_GT(reader.blocks(), 2U);
    EXPECT_EQ(found(reader, all), all.size());
}

TEST_F(State, passes_over_rows_that_are_gone_and_knows_nothing_of_new_ones) {
    const auto all = rows(40, 50);
    StateReader reader(repository_->keys(), repository_->chunks(), write(all));
    std::vector<Row> asked;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i % 7 == 3 || (i > 300 && i < 700)) continue;  // removed, also whole folders
        asked.push_back(all[i]);
        ++kept;
        if (i % 11 == 5) asked.push_back({all[i].folder, all[i].name + "-new", 9});
    }
    EXPECT_EQ(found(reader, asked), kept);
}

TEST_F(State, one_folder_may_fill_many_blocks) {
    const auto all = rows(1, 6000);
    StateReader reader(repository_->keys(), repository_->chunks(), write(all));
    EXPECT_GT(reader.blocks(), 3U);
    std::vector<Row> asked(all.begin() + 1, all.end());  // the first is gone: all others come by tag
    EXPECT_EQ(found(reader, asked), asked.size());
}

TEST_F(State, of_nothing_is_empty) {
    StateReader reader(repository_->keys(), repository_->chunks(), write({}));
    EXPECT_EQ(found(reader, rows(2, 2)), 0U);
}

TEST_F(State, blocks_that_lie_near_each_other_come_together) {
    const std::vector<Row> all = rows(300, 100);
    const ChunkId root = write(all);
    StateReader reader(repository_->keys(), repository_->chunks(), root);
    ASSERT_GT(reader.blocks(), 15U);
    const std::uint64_t before = repository_->chunks().requests();
    EXPECT_EQ(found(reader, all), all.size());
    EXPECT_LE(repository_->chunks().requests() - before, 6U);
}

}  // namespace
}  // namespace holdfast::repo
