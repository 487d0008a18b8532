#include "clients/s3/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace holdfast::s3 {
namespace {

void succeed(Admission& admission, int times) {
    for (int i = 0; i < times; ++i) Admission::Pass(admission).succeeded();
}
void fail(Admission& admission, int times) {
    for (int i = 0; i < times; ++i) const Admission::Pass pass(admission);
}
void be_told_to_slow_down(Admission& admission) { Admission::Pass(admission).slow_down(); }

TEST(Admission, grows_by_one_for_each_success_until_the_store_is_too_busy_for_the_first_time) {
    Admission admission(4, 10);
    succeed(admission, 4);
    EXPECT_EQ(admission.allowed(), 8.0);
    succeed(admission, 100);
    EXPECT_EQ(admission.allowed(), 10.0) << "the most";
}

TEST(Admission, grows_by_one_for_each_round_of_successes_then) {
    Admission admission(8, 6);
    be_told_to_slow_down(admission);
    succeed(admission, 4);
    EXPECT_GT(admission.allowed(), 4.8);
    EXPECT_LE(admission.allowed(), 5.0);
    succeed(admission, 100);
    EXPECT_EQ(admission.allowed(), 6.0);
}

TEST(Admission, halves_at_once_when_the_store_is_too_busy_and_grows_again) {
    Admission admission(8, 64);
    be_told_to_slow_down(admission);
    EXPECT_EQ(admission.allowed(), 4.0);
    for (int i = 0; i < 10; ++i) be_told_to_slow_down(admission);
    EXPECT_EQ(admission.allowed(), 1.0) << "one request is always allowed";
    succeed(admission, 50);
    EXPECT_GT(admission.allowed(), 8.0);
}

TEST(Admission, learns_nothing_from_what_failed) {
    Admission admission(4, 10);
    fail(admission, 20);
    EXPECT_EQ(admission.allowed(), 4.0);
    be_told_to_slow_down(admission);
    fail(admission, 20);
    EXPECT_EQ(admission.allowed(), 2.0);
}

TEST(Admission, never_lets_more_through_than_it_allows) {
    Admission admission(3, 3);
    std::atomic<int> under_way = 0, most = 0, done = 0;
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread)
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) {
                const Admission::Pass pass(admission);
                const int now = ++under_way;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
                }
                std::this_thread::yield();
                --under_way;
                ++done;
            }
        });
    threads.clear();
    EXPECT_LE(most, 3);
    EXPECT_EQ(done, 8 * 200);
}

}  // namespace
}  // namespace holdfast::s3
