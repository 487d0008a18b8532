#include "source/facts.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast {

namespace {

Facts orders(const std::string& rows) {
    return {"same-view", {{"shop/public/users", "rows", "7"}, {"shop/public/orders", "rows", rows}}};
}

TEST(Facts, come_back_sorted) {
    const Facts back = decode_facts(encode_facts(orders("12")));
    EXPECT_EQ(back.basis, "same-view");
    ASSERT_EQ(back.list.size(), 2U);
    EXPECT_EQ(back.list[0].item, "shop/public/orders");
    EXPECT_EQ(back.value("shop/public/users", "rows"), "7");
    EXPECT_FALSE(back.value("shop/public/users", "checksum"));
}

TEST(Facts, that_are_cut_or_longer_are_refused) {
    Bytes bytes = encode_facts(orders("12"));
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_THROW(decode_facts(ByteView(bytes).first(length)), Error);
    bytes.push_back(0);
    EXPECT_THROW(decode_facts(bytes), Error);
}

TEST(Facts, differ_by_value_by_what_is_missing_and_by_what_is_more) {
    for (const CheckLine& line : compare_facts(orders("12"), orders("12"), {}))
        EXPECT_EQ(line.result, CheckLine::Result::pass) << line.name;
    const auto differs = compare_facts(orders("12"), orders("11"), {});
    EXPECT_EQ(differs[0].result, CheckLine::Result::fail);
    EXPECT_EQ(differs[0].name, "shop/public/orders rows");
    EXPECT_EQ(differs[0].expected, "12");
    EXPECT_EQ(differs[0].found, "11");
    Facts less = orders("12");
    less.list.pop_back();
    EXPECT_EQ(compare_facts(orders("12"), less, {})[0].found, "missing");
    EXPECT_EQ(compare_facts(less, orders("12"), {})[0].expected, "absent");
    EXPECT_EQ(compare_facts(orders("12"), less, {"shop/public/users"}).size(), 1U);
}

}  // namespace

}  // namespace holdfast
