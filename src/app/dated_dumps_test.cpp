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

TEST(DatedDumps, OnlyOldDumpsOfTheSourceGo) {
    SimWorld sim{1};
    const TemporaryFolder folder;
    const Nanoseconds now = *parse_time("2026-03-31T02:00:00Z", 0);
    const auto put = [&](const std::string& name) {
        const std::filesystem::path path = folder.path() + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << "x";
    };
    const std::vector<std::string> stay{dump_name("orders", now) + ".sql",
                                        dump_name("orders", now - 30 * one_day) + ".sql.gz",
                                        dump_name("orders-eu", now - 90 * one_day) + ".sql",
                                        "orders-2020-01-01.sql",
                                        "orders-2020-01-01-0200xx.sql",
                                        "notes"};
    for (const std::string& name : stay) put(name);
    put("2026-01-01/orders-2026-01-01-020000.dump");
    put("orders-2026-02-01-020000.sql");
    const auto removed = remove_old_dumps(folder.path(), "orders", now, 30 * one_day, sim.log);
    EXPECT_EQ(removed.size(), 2U);
    for (const std::string& name : stay) EXPECT_TRUE(std::filesystem::exists(folder.path() + "/" + name)) << name;
    EXPECT_FALSE(std::filesystem::exists(folder.path() + "/2026-01-01"));
    EXPECT_TRUE(remove_old_dumps(folder.path() + "/none", "orders", now, one_day, sim.log).empty());
}

TEST(DatedDumps, TheFolderOfAllDatesHasNoDateInItsName) {
    EXPECT_EQ(folder_of_all_dates("/dumps/{date}"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/dumps/shop-{date}/{time}"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/dumps/"), "/dumps");
    EXPECT_EQ(folder_of_all_dates("/{date}"), "/");
}

}  // namespace
}  // namespace holdfast::app
