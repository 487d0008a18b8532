#include "mount/layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/back_up.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast::mount {
namespace {

TEST(Layout, keeps_the_trees_of_the_last_few_snapshots_alone) {
    testing_support::SmallRepository small;
    constexpr std::size_t count = Layout::browsers_max + 5;
    for (std::size_t i = 0; i < count; ++i) {
        small.sim.clock.advance(3600 * one_second);
        const testing_support::MemoryTree tree{{"/a/file", {testing_support::noise(i, 100)}}};
        testing_support::MemorySource from(tree);
        engine::Progress progress;
        engine::back_up(from, *small.open(), {{{"kind", "test"}}, "host", false, false}, progress);
    }
    const auto repository = small.open();
    MountRequest request;
    for (const repo::Snapshot& snapshot : repository->snapshots()) request.snapshots.push_back(&snapshot);
    ASSERT_EQ(request.snapshots.size(), count);
    Layout layout(*repository, request);
    const auto folder_of = [&](std::size_t number) {
        return layout.find("/ids/" + request.snapshots[number]->id.hex().substr(0, 16) + "/a");
    };
    const auto names_in = [&](const Node& folder) {
        std::string out;
        layout.list(folder, [&](const std::string& name, const Item&) { out += name; });
        return out;
    };
    const auto first = folder_of(0);
    ASSERT_TRUE(first && first->browser);
    std::vector<std::weak_ptr<engine::Browser>> seen;
    for (std::size_t i = 0; i < count; ++i) seen.emplace_back(folder_of(i)->browser);
    const auto open = std::ranges::count_if(seen, [](const auto& each) { return !each.expired(); });
    EXPECT_EQ(open, Layout::browsers_max + 1) << "and the one that is in use";
    EXPECT_EQ(names_in(*first), "file");
    EXPECT_EQ(names_in(*folder_of(1)), "file");
    EXPECT_EQ(folder_of(count - 1)->browser, seen.back().lock()) << "what was used last stays";
}

}  // namespace
}  // namespace holdfast::mount
