#include "sources/files/excludes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/item.h"
#include "source/listing.h"
#include "sources/files/roots.h"

namespace holdfast::files {

namespace {

struct Path {
    std::string path;
    bool is_folder = false;
};

bool leaves_out(const std::vector<std::string>& patterns, const Path& path) {
    const Excludes excludes(patterns);
    const auto [folder, name] = split_path(path.path);
    return Excludes::InFolder(excludes, folder).leaves_out(name, path.is_folder);
}
bool leaves_out(const std::string& pattern, const std::string& path) {
    return leaves_out(std::vector{pattern}, Path{path});
}

}  // namespace

TEST(Excludes, without_a_slash_match_a_name_at_any_depth) {
    EXPECT_TRUE(leaves_out("*.tmp", "/a/b/c.tmp"));
    EXPECT_TRUE(leaves_out("*.tmp", "/.tmp"));
    EXPECT_FALSE(leaves_out("*.tmp", "/a/c.tmp2"));
    EXPECT_TRUE(leaves_out("cache", "/x/cache"));
    EXPECT_FALSE(leaves_out("cache", "/x/cached"));
    EXPECT_TRUE(leaves_out("core.*", "/x/core.123"));
    EXPECT_TRUE(leaves_out("[ab]?c", "/x/bxc"));
    EXPECT_FALSE(leaves_out("[ab]?c", "/x/cxc"));
    EXPECT_TRUE(leaves_out("*", "/x"));
    EXPECT_TRUE(leaves_out("**/node_modules", "/x/y/node_modules"));
    EXPECT_TRUE(leaves_out("./cache", "/x/cache"));
}

TEST(Excludes, with_a_slash_match_the_path) {
    EXPECT_TRUE(leaves_out("/srv/cache", "/srv/cache"));
    EXPECT_FALSE(leaves_out("/srv/cache", "/x/srv/cache"));
    EXPECT_TRUE(leaves_out("/srv//./cache", "/srv/cache"));
    EXPECT_TRUE(leaves_out("/cache", "/cache"));
    EXPECT_FALSE(leaves_out("/cache", "/x/cache"));
    EXPECT_TRUE(leaves_out("/srv/*.log", "/srv/a.log"));
    EXPECT_FALSE(leaves_out("/srv/*.log", "/srv/a/a.log"));
    EXPECT_TRUE(leaves_out("/srv/*/log", "/srv/a/log"));
    EXPECT_TRUE(leaves_out("a/b", "/x/y/a/b"));
    EXPECT_TRUE(leaves_out("a/b", "/a/b"));
    EXPECT_FALSE(leaves_out("a/b", "/xa/b"));
    EXPECT_TRUE(leaves_out("/srv/**", "/srv/a/b/c"));
    EXPECT_FALSE(leaves_out("/srv/**", "/srv"));
    EXPECT_TRUE(leaves_out("/srv/**/x", "/srv/x"));
    EXPECT_TRUE(leaves_out("/srv/**/x", "/srv/a/b/x"));
    EXPECT_FALSE(leaves_out("/srv/**/x", "/sr/x"));
    EXPECT_TRUE(leaves_out("a/**/b", "/q/a/1/2/b"));
}

TEST(Excludes, that_end_with_a_slash_match_folders_only) {
    EXPECT_TRUE(leaves_out({"cache/"}, Path{"/x/cache", true}));
    EXPECT_FALSE(leaves_out({"cache/"}, Path{"/x/cache", false}));
    EXPECT_TRUE(leaves_out({"/x/cache/"}, Path{"/x/cache", true}));
}

TEST(Excludes, take_back_in_and_the_last_match_counts) {
    const std::vector<std::string> patterns{"*.log", "!keep.log", "/srv/keep.log"};
    EXPECT_TRUE(leaves_out(patterns, {"/a/x.log"}));
    EXPECT_FALSE(leaves_out(patterns, {"/a/keep.log"}));
    EXPECT_TRUE(leaves_out(patterns, {"/srv/keep.log"}));
    EXPECT_TRUE(leaves_out("\\!odd", "/x/!odd"));
    EXPECT_FALSE(leaves_out("!odd", "/x/!odd"));
    EXPECT_TRUE(leaves_out("\\#odd", "/x/#odd"));
}

TEST(Excludes, cost_nothing_in_folders_where_none_can_match) {
    const Excludes excludes(std::vector<std::string>{"/srv/cache", "/var/*/x", "!*.keep"});
    EXPECT_TRUE(Excludes::InFolder(excludes, "/home").empty());
    EXPECT_FALSE(Excludes::InFolder(excludes, "/srv").empty());
    EXPECT_FALSE(Excludes::InFolder(excludes, "/var/a").empty());
    EXPECT_TRUE(Excludes(std::vector<std::string>{"", "!"}).empty());
}

TEST(Excludes, are_lines_of_a_file) {
    const std::vector<std::string> expected{"*.tmp", "a b", "\\#x"};
    EXPECT_EQ(patterns_of_lines("# comment\n\n*.tmp  \r\na b\n\\#x"), expected);
}

TEST(Roots, are_absolute_without_resolving_symlinks) {
    EXPECT_EQ(absolute_path("/a//b/./c/"), "/a/b/c");
    EXPECT_EQ(absolute_path("/a/../../b"), "/b");
    EXPECT_EQ(absolute_path("/"), "/");
    EXPECT_EQ(absolute_path("x/.."), absolute_path("."));
    EXPECT_TRUE(absolute_path("x").ends_with("/x"));
}

TEST(Roots, know_what_lies_below_them) {
    Root top;
    EXPECT_TRUE(add_root(top, "/etc"));
    EXPECT_FALSE(add_root(top, "/etc/ssl/certs"));
    EXPECT_FALSE(add_root(top, "/etc"));
    EXPECT_TRUE(add_root(top, "/srv/a"));
    EXPECT_FALSE(top.whole);
    const Root& etc = *top.children.at("etc");
    EXPECT_TRUE(etc.whole && etc.given);
    const Root& ssl = *etc.children.at("ssl");
    EXPECT_TRUE(ssl.whole && !ssl.given);
    EXPECT_TRUE(ssl.children.at("certs")->given);
    EXPECT_FALSE(top.children.at("srv")->whole);
    EXPECT_TRUE(top.children.at("srv")->children.at("a")->whole);
    Root all;
    EXPECT_TRUE(add_root(all, "/"));
    EXPECT_FALSE(add_root(all, "/a"));
    EXPECT_TRUE(all.whole);
}

TEST(Listing, sorts_by_bytes) {
    std::vector<std::string> names;
    for (int i = 0; i < 3000; ++i)
        names.push_back("common prefix " + std::to_string(i * 7919 % 3001) + (i % 3 == 0 ? "" : "\xff"));
    for (const char* name :
         {"common prefix ", "common prefix 1 and then much longer", "common prefix 1 and then much longes"})
        names.emplace_back(name);
    Listing listing;
    for (const std::string& name : names) listing.add(name, DT_REG);
    listing.sort();
    std::ranges::sort(names);
    ASSERT_EQ(listing.size(), names.size());
    for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(listing.name(i), names[i]);
    EXPECT_TRUE(listing.has("common prefix "));
    EXPECT_FALSE(listing.has("common"));
}

}  // namespace holdfast::files
