#include "base/queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

TEST(BoundedQueue, first_in_is_first_out) {
    BoundedQueue<int> queue(3);
    EXPECT_TRUE(queue.push(1));
    EXPECT_TRUE(queue.push(2));
    EXPECT_EQ(queue.size(), 2U);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 2);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(BoundedQueue, when_full_nothing_is_taken_from_the_caller) {
    BoundedQueue<std::unique_ptr<int>> queue(1);
    auto first = std::make_unique<int>(1);
    auto second = std::make_unique<int>(2);
    EXPECT_TRUE(queue.try_push(first));
    EXPECT_EQ(first, nullptr);
    EXPECT_FALSE(queue.try_push(second));
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(*second, 2);
}

TEST(BoundedQueue, after_close_the_rest_can_be_popped_and_nothing_pushed) {
    BoundedQueue<int> queue(3);
    queue.push(1);
    queue.push(2);
    queue.close();
    int more = 3;
    EXPECT_FALSE(queue.push(3));
    EXPECT_FALSE(queue.try_push(more));
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.try_pop(), 2);
    EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, a_pop_waits_for_a_push) {
    BoundedQueue<int> queue(1);
    std::optional<int> got;
    std::jthread popper([&] { got = queue.pop(); });
    queue.push(7);
    popper.join();
    EXPECT_EQ(got, 7);
}

TEST(BoundedQueue, close_frees_whoever_waits) {
    BoundedQueue<int> full(1);
    full.push(1);
    std::atomic<bool> pushed{true};
    std::jthread pusher([&] { pushed = full.push(2); });
    full.close();
    pusher.join();
    EXPECT_FALSE(pushed);

    BoundedQueue<int> empty(1);
    std::optional<int> got = 1;
    std::jthread popper([&] { got = empty.pop(); });
    empty.close();
    popper.join();
    EXPECT_EQ(got, std::nullopt);
}

TEST(BoundedQueue, many_pushers_and_poppers_lose_nothing) {
    constexpr int each = 2000;
    BoundedQueue<int> queue(5);
    std::atomic<long> sum{0};
    {
        std::vector<std::jthread> poppers;
        for (int i = 0; i < 3; ++i) {
            poppers.emplace_back([&] {
                while (const auto item = queue.pop()) sum += *item;
            });
        }
        {
            std::vector<std::jthread> pushers;
            for (int i = 0; i < 3; ++i) {
                pushers.emplace_back([&] {
                    for (int n = 1; n <= each; ++n) queue.push(n);
                });
            }
        }
        queue.close();
    }
    EXPECT_EQ(sum, 3L * each * (each + 1) / 2);
}

}  // namespace
}  // namespace holdfast
