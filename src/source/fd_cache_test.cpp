#include "source/fd_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "source/attributes.h"
#include "source/findings.h"
#include "source/folder.h"

namespace holdfast {

namespace {

Fd open_null() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

Folder::Pointer base_of(const TemporaryFolder& folder, std::size_t open_max) {
    return Folder::base(std::make_shared<FdCache>(open_max),
                        Fd(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), folder.path());
}

}  // namespace

TEST(FdCache, closes_what_was_used_longest_ago) {
    FdCache cache(2);
    FdCache::Slot a, b, c;
    const int fd_a = cache.put(a, open_null())->get();
    cache.put(b, open_null());
    EXPECT_NE(cache.find(a), nullptr);
    cache.put(c, open_null());
    EXPECT_NE(cache.find(a), nullptr);
    EXPECT_EQ(cache.find(b), nullptr);
    EXPECT_TRUE(is_open(fd_a));
    EXPECT_EQ(cache.size(), 2U);
    cache.clear();
    EXPECT_FALSE(is_open(fd_a));
    EXPECT_EQ(cache.size(), 0U);
}

TEST(FdCache, keeps_open_what_is_pinned) {
    FdCache cache(1);
    FdCache::Slot a, b;
    FdCache::Pin pin = cache.put(a, open_null());
    cache.put(b, open_null());
    EXPECT_EQ(cache.find(a), nullptr);
    EXPECT_TRUE(is_open(pin->get()));
    EXPECT_EQ(cache.drop(a), nullptr);
    EXPECT_NE(cache.drop(b), nullptr);
}

TEST(Folder, is_opened_again_by_walking_when_it_was_closed) {
    const TemporaryFolder outside;
    const Folder::Pointer base = base_of(outside, 2);
    std::vector<Folder::Pointer> chain{base};
    for (int i = 0; i < 50; ++i) {
        const Folder::Open above = chain.back()->open();
        ASSERT_TRUE(above);
        ASSERT_EQ(::mkdirat(above.get(), "below", 0755), 0);
        chain.push_back(Folder::below(chain.back(), "below"));
    }
    for (const Folder::Pointer& folder : chain) EXPECT_TRUE(folder->open());
    EXPECT_TRUE(chain[10]->open());
    EXPECT_LE(base->cache().size(), 2U);
    EXPECT_EQ(chain[2]->path(), outside.path() + "/below/below");
    EXPECT_EQ(chain[1]->path_of("x"), outside.path() + "/below/x");
}

TEST(Folder, does_not_follow_a_symlink_unless_it_was_asked_to) {
    const TemporaryFolder outside;
    ASSERT_EQ(::symlink("/", (outside.path() + "/link").c_str()), 0);
    const Folder::Pointer base = base_of(outside, 8);
    EXPECT_FALSE(Folder::below(base, "link")->open());
    EXPECT_FALSE(Folder::below(Folder::below(base, "link"), "tmp")->open());
    EXPECT_FALSE(Folder::below(base, "link", Folder::Access::traverse)->open());
    EXPECT_TRUE(Folder::below(base, "link", Folder::Access::follow)->open());
    EXPECT_EQ(Folder::below(base, "missing")->open().error, ENOENT);
}

TEST(Folder, chains_of_any_length_are_let_go_of) {
    const TemporaryFolder outside;
    Folder::Pointer last = base_of(outside, 8);
    for (int i = 0; i < 200'000; ++i) last = Folder::below(std::move(last), "x");
    last.reset();
}

TEST(OpenIn, lets_go_of_the_cache_when_no_descriptor_is_left) {
    FdCache cache(1000);
    FdCache::Slot kept;
    cache.put(kept, open_null());
    std::vector<Fd> all;
    while (Fd next = open_null()) all.push_back(std::move(next));
    EXPECT_TRUE(open_in(cache, AT_FDCWD, "/dev/null", O_RDONLY));
    EXPECT_EQ(cache.size(), 0U);
}

class AttributesTest : public testing::TestWithParam<bool> {
protected:
    AttributesTest() { use_old_attribute_calls(GetParam()); }
    ~AttributesTest() override { use_old_attribute_calls(false); }
    const TemporaryFolder outside_;
    const Fd folder_{::open(outside_.path().c_str(), O_PATH | O_CLOEXEC)};
};

TEST_P(AttributesTest, are_read_set_and_removed_by_name) {
    const std::string path = outside_.path() + "/file";
    { const Fd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); }
    const AttributeOwner owner{folder_.get(), "file"};
    EXPECT_TRUE(read_attributes(owner).attributes.empty());
    EXPECT_EQ(set_attribute(owner, "user.b", std::string_view("\0x", 2)), 0);
    EXPECT_EQ(set_attribute(owner, "user.a", ""), 0);
    const std::vector<Attribute> expected{{"user.a", ""}, {"user.b", std::string("\0x", 2)}};
    EXPECT_EQ(read_attributes(owner).attributes, expected);
    EXPECT_TRUE(has_attribute(owner, "user.a"));
    EXPECT_EQ(remove_attribute(owner, "user.a"), 0);
    EXPECT_FALSE(has_attribute(owner, "user.a"));
    EXPECT_NE(remove_attribute(owner, "user.a"), 0);
}

TEST_P(AttributesTest, of_a_symlink_are_not_those_of_what_it_leads_to) {
    ASSERT_EQ(::symlink("/proc/nowhere", (outside_.path() + "/link").c_str()), 0);
    const AttributeList list = read_attributes({folder_.get(), "link"});
    EXPECT_EQ(list.error, 0);
    EXPECT_TRUE(list.attributes.empty());
    EXPECT_EQ(read_attributes({folder_.get(), "missing"}).error, ENOENT);
}

TEST_P(AttributesTest, are_set_on_an_open_file) {
    const Fd file(::open((outside_.path() + "/file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    EXPECT_EQ(set_attribute({file.get(), nullptr}, "user.x", "1"), 0);
    EXPECT_EQ(read_attributes({folder_.get(), "file"}).attributes, read_attributes({file.get(), nullptr}).attributes);
}

INSTANTIATE_TEST_SUITE_P(Kernels, AttributesTest, testing::Bool());

TEST(Findings, count_what_may_happen_to_every_item_as_one) {
    Findings findings;
    findings.add({"/a", Finding::Kind::vanished, "gone"});
    for (int i = 0; i < 1234; ++i)
        findings.count(Finding::Kind::unsupported, "owner cannot be set", "/" + std::to_string(i));
    findings.count(Finding::Kind::unsupported, "times cannot be set", "/b");
    const std::vector<Finding> all = findings.take();
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[1].path, "/0");
    EXPECT_EQ(all[1].text, "owner cannot be set (1,234 items, this is the first)");
    EXPECT_EQ(all[2].text, "times cannot be set");
    EXPECT_TRUE(findings.take().empty());
}

}  // namespace holdfast
