#include "engine/verify.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "engine/back_up.h"
#include "source/folder_rebuild.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast::engine {
namespace {

class Verify : public testing::Test {
protected:
    Verify() {
        for (const char* name : {"a", "b", "c", "d"}) tree_[fmt::format("/srv/{}", name)] = {.bytes = name};
        testing_support::MemorySource source(tree_);
        Progress progress;
        plan_.snapshot = back_up(source, *world_.open(), {}, progress).snapshot.id;
        const auto repository = world_.open();
        const auto rebuild = rebuild_into_folder(
            {.world = repository->world(), .target = target_, .sync = false, .snapshot_id = "", .strip = ""});
        EXPECT_TRUE(restore(*repository, plan_, *rebuild, progress).rebuilt.findings.empty());
    }
    Verification verified(const std::vector<Finding>& findings) {
        const auto repository = world_.open();
        Progress progress;
        return verify(*repository, plan_, {target_, "", findings, {}}, progress);
    }
    // What failed, and how many differences of each aspect were excused.
    std::vector<std::string> said_of(const std::vector<Finding>& findings) {
        std::vector<std::string> out;
        const Verification found = verified(findings);
        for (const CheckLine& line : found.checks) {
            if (line.name.starts_with("/")) out.push_back(line.name);
            if (line.result == CheckLine::Result::not_tested)
                out.push_back(line.name + " " + line.found.substr(0, line.found.find(' ')));
        }
        return out;
    }
    void remove(const std::string& name) const {
        std::filesystem::remove(at(name));
        const struct timespec as_captured[2] = {{0, UTIME_OMIT}, {0, 0}};
        ASSERT_EQ(::utimensat(AT_FDCWD, at("").c_str(), as_captured, 0), 0);
    }
    std::string at(const std::string& name) const { return target_ + "/srv/" + name; }

    using Texts = std::vector<std::string>;
    testing_support::SmallRepository world_;
    testing_support::MemoryTree tree_;
    const TemporaryFolder outside_;
    const std::string target_ = outside_.path() + "/target";
    RestorePlan plan_;
};

constexpr auto unsupported = Finding::Kind::unsupported;

TEST_F(Verify, finds_nothing_in_what_was_restored) { EXPECT_EQ(said_of({}), Texts{}); }

TEST_F(Verify, a_finding_excuses_its_item_and_no_other) {
    remove("a");
    remove("b");
    EXPECT_EQ(said_of({}), (Texts{"/srv/a missing", "/srv/b missing"}));
    EXPECT_EQ(said_of({{"/srv/a", unsupported, "cannot create: permission denied"}}),
              (Texts{"missing 1", "/srv/b missing"}));
    EXPECT_EQ(said_of({{"/elsewhere", unsupported, "cannot create: permission denied"}}),
              (Texts{"/srv/a missing", "/srv/b missing"}));
    EXPECT_EQ(said_of({{"/srv", unsupported, "cannot create: permission denied"}}), (Texts{"missing 2"}));
    EXPECT_EQ(said_of({{"/srv/b", unsupported, "times cannot be set: operation not permitted"}}),
              (Texts{"/srv/a missing", "/srv/b missing"}));
}

TEST_F(Verify, a_finding_of_many_excuses_so_many) {
    for (const char* name : {"a", "b", "c"}) ASSERT_EQ(::chmod(at(name).c_str(), 0600), 0);
    const auto finding = [](std::uint64_t items) {
        return Finding{"/srv/a", unsupported, "mode cannot be set: operation not permitted", items};
    };
    EXPECT_EQ(said_of({finding(3)}), (Texts{"mode 3"}));
    EXPECT_EQ(said_of({finding(2)}), (Texts{"mode 2", "/srv/c mode"}));
    EXPECT_EQ(said_of({finding(1)}), (Texts{"mode 1", "/srv/b mode", "/srv/c mode"}));
}

TEST_F(Verify, no_finding_excuses_other_bytes) {
    write_file_durably(at("a"), as_bytes("x"));
    const Texts said = said_of({{"/srv/a", unsupported, "cannot create: permission denied"}});
    EXPECT_TRUE(std::ranges::find(said, "/srv/a content") != said.end());
}

}  // namespace
}  // namespace holdfast::engine
