#include "base/item.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace holdfast {
namespace {

using Parts = std::pair<std::string_view, std::string_view>;

TEST(Item, a_path_is_a_folder_and_a_name) {
    EXPECT_EQ(split_path("/etc/hosts"), Parts("/etc", "hosts"));
    EXPECT_EQ(split_path("/etc"), Parts("/", "etc"));
    EXPECT_EQ(split_path("/"), Parts("", "/"));
    EXPECT_EQ(split_path("a"), Parts("", "a"));
    EXPECT_EQ(split_path("a/b/c"), Parts("a/b", "c"));
    EXPECT_EQ(split_path(""), Parts("", ""));
}

TEST(Item, joining_undoes_splitting) {
    for (const char* path : {"/etc/hosts", "/etc", "/", "a", "a/b/c"}) {
        const auto [folder, name] = split_path(path);
        EXPECT_EQ(join_path(folder, name), path);
    }
}

TEST(Item, within_means_the_folder_itself_or_below_it) {
    EXPECT_TRUE(is_within("/a/b", "/a"));
    EXPECT_TRUE(is_within("/a", "/a"));
    EXPECT_TRUE(is_within("/a", "/"));
    EXPECT_TRUE(is_within("/", "/"));
    EXPECT_TRUE(is_within("x", ""));
    EXPECT_FALSE(is_within("/ab", "/a"));
    EXPECT_FALSE(is_within("/a", "/a/b"));
    EXPECT_FALSE(is_within("b/a", "a"));
}

// The order by its definition: folders depth first with parents before children, names within a folder by bytes.
std::vector<std::string> components(std::string_view folder) {
    std::vector<std::string> out;
    std::string name;
    for (const char c : folder) {
        if (c == '/') {
            out.push_back(std::exchange(name, {}));
        } else {
            name += c;
        }
    }
    out.push_back(name);
    return out;
}

bool unsigned_less(std::string_view a, std::string_view b) {
    return std::ranges::lexicographical_compare(
        a, b, {}, [](char c) { return static_cast<unsigned char>(c); },
        [](char c) { return static_cast<unsigned char>(c); });
}

bool comes_before(std::string_view a, std::string_view b) {
    const auto [folder_a, name_a] = split_path(a);
    const auto [folder_b, name_b] = split_path(b);
    if (folder_a != folder_b) {
        const auto parts_a = components(folder_a);
        const auto parts_b = components(folder_b);
        for (std::size_t i = 0; i < std::min(parts_a.size(), parts_b.size()); ++i) {
            if (parts_a[i] != parts_b[i]) return unsigned_less(parts_a[i], parts_b[i]);
        }
        return parts_a.size() < parts_b.size();
    }
    return unsigned_less(name_a, name_b);
}

TEST(Item, keys_sort_as_the_tree_does) {
    std::vector<std::string> paths{"a",         "a/b",   "a/b/c",      "a!",     "a!/x", "a-b",  "a/\xff",
                                   "a/b\x01/c", "b",     "\xff/x",     "a/c",    "ab/x", "ab",   "a/b/c/d",
                                   "a b",       "a b/c", "a/\xc3\xbc", "a/\x02", "a\n",  "a\n/y"};
    auto by_key = paths;
    std::ranges::sort(by_key, [](const auto& x, const auto& y) { return unsigned_less(tree_key(x), tree_key(y)); });
    auto by_definition = paths;
    std::ranges::sort(by_definition, comes_before);
    EXPECT_EQ(by_key, by_definition);
    std::vector<std::string> absolute{"/", "/a", "/a/b", "/b", "/a!/c", "/a/b/c"};
    std::ranges::sort(absolute, [](const auto& x, const auto& y) { return unsigned_less(tree_key(x), tree_key(y)); });
    EXPECT_EQ(absolute, (std::vector<std::string>{"/", "/a", "/b", "/a/b", "/a/b/c", "/a!/c"}));
}

TEST(Item, a_key_goes_back_to_its_path) {
    for (const char* path : {"/", "/a", "/a/b/c", "a", "a/b", "a\xff/\x01", "/\xc3\xbc/x"})
        EXPECT_EQ(path_of_tree_key(tree_key(path)), path) << path;
}

TEST(Item, keys_of_a_folder_are_together_and_before_its_sub_folders) {
    const std::string folder = folder_key("/a");
    EXPECT_TRUE(tree_key("/a/x").starts_with(folder));
    EXPECT_TRUE(tree_key("/a/b/x").starts_with(folder));
    EXPECT_LT(tree_key("/a/zzz"), tree_key("/a/b/x"));
}

TEST(Item, a_key_without_its_end_is_corrupt) {
    for (const char* text : {"", "abc", "a"}) {
        try {
            path_of_tree_key(text);
            FAIL() << "no error";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
        }
    }
}

TEST(Item, every_kind_has_a_name_of_its_own) {
    std::set<std::string_view> names;
    for (int kind = 1; kind <= 7; ++kind) EXPECT_TRUE(names.insert(name_of(static_cast<ItemKind>(kind))).second);
    EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace holdfast
