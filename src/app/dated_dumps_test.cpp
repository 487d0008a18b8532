#include "app/dated_dumps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "testing/sim_world.h"

namespace holdfast::app {
namespace {

constexpr Nanoseconds one_day = 86'400 * one_second;

class OldDumps : public testing::Test {
protected:
    SimWorld sim_{1};
    TemporaryFolder folder_;
    const Nanoseconds now_ = *parse_time("2026-03-31T02:00:00Z", 0);

    std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
    void put(const std::string& name) const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name)) << "x";
    }
    bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
    policy::ExportTask task(const std::string& to, std::vector<std::string> formats) const {
        return {.source = "orders", .as = std::move(formats), .to = path(to), .keep = 30 * one_day};
    }
    std::vector<std::string> removed(const policy::ExportTask& task) { return remove_old_dumps(task, now_, sim_.log); }
};

TEST_F(OldDumps, only_those_of_the_source_go) {
    const std::vector<std::string> stay{dump_name("orders", now_) + ".sql",
                                        dump_name("orders", now_ - 30 * one_day) + ".sql.gz",
                                        dump_name("orders-eu", now_ - 90 * one_day) + ".sql",
                                        "orders-2020-01-01.sql",
                                        "orders-2020-01-01-0200xx.sql",
                                        "orders-2020-13-01-020000.sql",
                                        "notes"};
    for (const std::string& name : stay) put(name);
    put("orders-2026-02-01-020000.sql");
    put("orders-2026-02-01-020000.sql.gz");
    EXPECT_EQ(removed(task("", {"sql", "sql.gz"})).size(), 2U);
    for (const std::string& name : stay) EXPECT_TRUE(exists(name)) << name;
    EXPECT_TRUE(removed(task("none", {"sql"})).empty());
    EXPECT_TRUE(sim_.log.lines().empty());
}

TEST_F(OldDumps, those_of_another_job_stay) {
    const std::vector<std::string> stay{"monthly/2025-04-01/orders-2025-04-01-020000.dump",  // another folder
                                        "2025-04-01/orders-2025-04-01-020000.sql.gz",        // another format
                                        "2025-04-01/orders-2025-04-01-020000.dump.gz",       //
                                        "2025-04-01/orders-2025-04-02-020000.dump",       // the folder of another day
                                        "2025-04-01/more/orders-2025-04-01-020000.dump",  //
                                        "orders-2025-04-01-020000.dump"};
    for (const std::string& name : stay) put(name);
    put("2025-04-01/orders-2025-04-01-020000.dump");
    put("2025-04-03/orders-2025-04-03-020000.dump");
    EXPECT_EQ(removed(task("{date}", {"custom"})).size(), 2U);
    for (const std::string& name : stay) EXPECT_TRUE(exists(name)) << name;
    EXPECT_FALSE(exists("2025-04-01/orders-2025-04-01-020000.dump"));
    EXPECT_FALSE(exists("2025-04-03"));
}

TEST_F(OldDumps, folders_go_whole_and_what_they_leave_empty_too) {
    put("2026-01-01/at-020000/orders-2026-01-01-020000.directory/toc.dat");
    put("2026-03-30/at-020000/orders-2026-03-30-020000.directory/toc.dat");
    put("2026-01-01/at-020000/orders-2026-01-01-020000.sql/not-the-jobs");
    EXPECT_THAT(removed(task("{date}/at-{time}/", {"directory", "sql"})),
                testing::ElementsAre(path("2026-01-01/at-020000/orders-2026-01-01-020000.directory")));
    EXPECT_TRUE(exists("2026-01-01/at-020000/orders-2026-01-01-020000.sql/not-the-jobs"));
    std::filesystem::remove_all(path("2026-01-01/at-020000/orders-2026-01-01-020000.sql"));
    put("2026-01-01/at-020000/orders-2026-01-01-020000.directory/toc.dat");
    EXPECT_EQ(removed(task("{date}/at-{time}/", {"directory", "sql"})).size(), 1U);
    EXPECT_FALSE(exists("2026-01-01"));
    EXPECT_TRUE(exists("2026-03-30/at-020000/orders-2026-03-30-020000.directory/toc.dat"));
}

TEST_F(OldDumps, what_cannot_be_looked_at_keeps_none_of_the_others) {
    put("2026-01-01/orders-2026-01-01-020000.sql");
    std::filesystem::create_directory_symlink("2026-01-02", path("2026-01-02"));  // a loop
    put("2026-01-03");
    EXPECT_EQ(removed(task("{date}", {"sql"})).size(), 1U);
    EXPECT_TRUE(removed(task("2026-01-02", {"sql"})).empty());
    ASSERT_EQ(sim_.log.lines().size(), 1U);
    EXPECT_THAT(sim_.log.lines()[0].text, testing::HasSubstr("old dumps cannot be looked for in"));
}

TEST(DatedDumps, TheFolderOfAllDatesHasNoDateInItsName) {
    EXPECT_EQ(folder_of_all_dates("/dumps/{date}"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/dumps/shop-{date}/{time}"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/dumps/"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/{date}"), "/");
}

}  // namespace
}  // namespace holdfast::app
