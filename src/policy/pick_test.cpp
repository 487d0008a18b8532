#include "policy/pick.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace holdfast::policy {
namespace {

class Seeded final : public Random {
public:
    void fill(MutableByteView out) override {
        for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
    }

private:
    std::mt19937_64 engine_{7};
};

constexpr Nanoseconds day = 86'400 * one_second;

TEST(PickByAge, the_old_are_not_passed_over_for_the_many_recent_ones) {
    std::vector<Nanoseconds> ages(1000, day / 2);
    ages.push_back(5 * day);
    ages.push_back(400 * day);
    Seeded random;
    std::map<std::size_t, int> seen;
    for (int i = 0; i < 3000; ++i) ++seen[pick_by_age(ages, random)];
    EXPECT_GT(seen[1000], 800);
    EXPECT_GT(seen[1001], 800);
    EXPECT_GT(seen.size(), 500U) << "within a class all are as likely";
}

TEST(PickByAge, one_is_chosen_where_there_is_one_also_from_the_future) {
    Seeded random;
    EXPECT_EQ(pick_by_age(std::vector<Nanoseconds>{-5}, random), 0U);
    EXPECT_EQ(pick_by_age(std::vector<Nanoseconds>{10'000 * day}, random), 0U);
}

}  // namespace
}  // namespace holdfast::policy
