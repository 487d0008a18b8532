#include "repo/tree.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "repo/session.h"
#include "repo/state.h"
#include "testing/small_repository.h"

namespace holdfast::repo {
namespace {

TreeEntry file(const std::string& path, std::uint64_t size = 10) {
    TreeEntry entry;
    entry.item.path = path;
    entry.item.mode = 0644;
    entry.item.user = "root";
    entry.item.mtime_s = -1234567890;
    entry.item.mtime_ns = 999999999;
    entry.item.size = size;
    ChunkId chunk;
    std::memcpy(chunk.bytes.data(), path.data(), std::min<std::size_t>(path.size(), 32));
    entry.content.push_back({chunk, 7, size});
    return entry;
}

// In tree order, about `count` entries.
std::vector<TreeEntry> many(std::size_t count) {
    std::map<std::string, TreeEntry> sorted;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string path =
            fmt::format("/folder-{}/file-{:06}-with-some-length-to-it-{}", i % 37, i, std::string(i % 60, 'x'));
        sorted.emplace(tree_key(path), file(path, i));
    }
    std::vector<TreeEntry> out;
    for (auto& [key, entry] : sorted) out.push_back(std::move(entry));
    return out;
}

class Tree : public testing::Test {
protected:
    testing_support::SmallRepository world_;
    std::unique_ptr<Repository> repository_ = world_.open();

    ChunkId write(const std::vector<TreeEntry>& entries) {
        Session session(*repository_, Session::Mode::write);
        TreeWriter writer(repository_->keys(), session.packs());
        for (const TreeEntry& entry : entries) writer.add(entry);
        const ChunkId root = writer.finish();
        session.publish_and_close();
        return root;
    }
    std::vector<TreeEntry> read(const ChunkId& root, const std::string& from = "") {
        std::vector<TreeEntry> out;
        TreeReader(repository_->keys(), repository_->chunks(), root).walk(from, [&](TreeEntry&& entry) {
            out.push_back(std::move(entry));
            return true;
        });
        return out;
    }
    static void expect_same(const std::vector<TreeEntry>& a, const std::vector<TreeEntry>& b) {
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            EXPECT_EQ(a[i].item, b[i].item) << a[i].item.path;
            EXPECT_EQ(a[i].content, b[i].content) << a[i].item.path;
        }
    }
};

TEST_F(Tree, an_empty_tree_has_one_empty_leaf) { EXPECT_TRUE(read(write({})).empty()); }

TEST_F(Tree, gives_back_every_entry_in_order) {
    const auto entries = many(5000);
    expect_same(read(write(entries)), entries);
}

TEST_F(Tree, keeps_every_field_of_an_item) {
    TreeEntry entry = file("/a/\xff\n name");
    entry.item.kind = ItemKind::symlink;
    entry.item.device = 0x1234567890;
    entry.item.hard_link = 77;
    entry.item.link = "../elsewhere";
    entry.item.attributes = {{"security.capability", std::string("\0\1", 2)}, {"user.x", ""}};
    entry.content = {{ChunkId{{1}}, 3, 5}, {ChunkId{}, 0, 1ULL << 40}, {ChunkId{{2}}, 0, 1}};
    expect_same(read(write({entry})), {entry});
}

TEST_F(Tree, begins_a_walk_at_any_key) {
    const auto entries = many(3000);
    const ChunkId root = write(entries);
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{1499}, entries.size() - 1}) {
        const auto rest = read(root, tree_key(entries[at].item.path));
        ASSERT_EQ(rest.size(), entries.size() - at);
        EXPECT_EQ(rest[0].item.path, entries[at].item.path);
    }
    EXPECT_EQ(TreeReader(repository_->keys(), repository_->chunks(), root).find(entries[77].item.path)->item,
              entries[77].item);
    EXPECT_FALSE(TreeReader(repository_->keys(), repository_->chunks(), root).find("/nowhere").has_value());
}

TEST_F(Tree, a_change_in_one_entry_rewrites_few_leaves) {
    auto entries = many(20000);
    const ChunkId before = write(entries);
    entries[10000].item.size = 999;
    entries.erase(entries.begin() + 5000);
    const ChunkId after = write(entries);
    TreeReader a(repository_->keys(), repository_->chunks(), before),
        b(repository_->keys(), repository_->chunks(), after);
    std::set<ChunkId> known;
    for (const LeafRef& leaf : a.leaves()) known.insert(leaf.id);
    std::size_t fresh = 0;
    for (const LeafRef& leaf : b.leaves()) fresh += known.contains(leaf.id) ? std::size_t{0} : std::size_t{1};
    EXPECT_GT(known.size(), 15U);
    EXPECT_LE(fresh, 6U);
    EXPECT_EQ(b.items(), entries.size());
}

TEST_F(Tree, refuses_entries_out_of_order) {
    Session session(*repository_, Session::Mode::write);
    TreeWriter writer(repository_->keys(), session.packs());
    writer.add(file("/b"));
    EXPECT_THROW(writer.add(file("/a")), Error);
    EXPECT_THROW(writer.add(file("/b")), Error);
}

TEST_F(Tree, an_item_of_many_extents_is_kept_in_lists) {
    TreeEntry entry = file("/huge");
    entry.content.clear();
    for (std::uint32_t i = 0; i < 5000; ++i) {
        ChunkId chunk;
        std::memcpy(chunk.bytes.data(), &i, sizeof i);
        chunk.bytes[31] = 1;
        entry.content.push_back({chunk, i, i + 1});
    }
    expect_same(read(write({entry})), {entry});
}

TEST(TreeKey, sorts_folders_before_what_is_in_them_and_siblings_by_bytes) {
    const std::vector<std::string> order{"/", "/a", "/a!", "/b", "/a/x", "/a/y", "/a/x/1", "/a/y/1", "/a!/1"};
    for (std::size_t i = 1; i < order.size(); ++i) EXPECT_LT(tree_key(order[i - 1]), tree_key(order[i])) << order[i];
    for (const std::string& path : order) EXPECT_EQ(path_of_tree_key(tree_key(path)), path);
    EXPECT_EQ(path_of_tree_key(tree_key("db/schema/table")), "db/schema/table");
}

TEST_F(Tree, a_walk_over_many_leaves_asks_little) {
    const std::vector<TreeEntry> entries = many(20'000);
    const ChunkId root = write(entries);
    TreeReader reader(repository_->keys(), repository_->chunks(), root);
    const std::size_t leaves = reader.leaves().size();
    ASSERT_GT(leaves, 15U);
    const std::uint64_t before = repository_->chunks().requests();
    std::size_t count = 0;
    reader.walk("", [&](TreeEntry&&) { return ++count > 0; });
    EXPECT_EQ(count, entries.size());
    EXPECT_LE(repository_->chunks().requests() - before, 8U);
}

}  // namespace
}  // namespace holdfast::repo
