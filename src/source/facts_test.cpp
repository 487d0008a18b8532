#include "source/facts.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "source/untold_facts.h"

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

TEST(Facts, that_cannot_be_told_are_not_tested) {
    const Facts captured{"same-view", {{"shop", "collation", "C C"}, {"shop", "schema", "1"}}};
    const Facts found{"same-view",
                      {{"shop", "collation", "C C c"},
                       {"shop", "large objects", "0"},
                       {"shop", "schema", "2"},
                       untold("shop", "schema", "another version"),
                       untold("shop", "large objects", "another version")}};
    const auto lines = compare_facts(captured, found, {});
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0].result, CheckLine::Result::fail);
    for (const std::size_t i : {1U, 2U}) {
        EXPECT_EQ(lines[i].result, CheckLine::Result::not_tested) << lines[i].name;
        EXPECT_EQ(lines[i].found, "another version");
    }
}

TEST(Facts, of_what_changed_meanwhile_are_those_of_the_restore) {
    const Facts captured{"quiet",
                         {{"shop/gone", "about documents", "3"},
                          {"shop/log", "about documents", "5"},
                          {"shop/orders", "about bytes", "700"},
                          {"shop/orders", "about documents", "7"},
                          {"shop/still", "documents", "1"}}};
    const Facts restored{"quiet",
                         {untold("shop/log", "documents", "capped"),
                          {"shop/orders", "documents", "9"},
                          {"shop/still", "documents", "2"}}};
    EXPECT_EQ(completed(captured, restored).list, (std::vector<Fact>{{"shop/gone", "about documents", "3"},
                                                                     untold("shop/log", "documents", "capped"),
                                                                     {"shop/orders", "about bytes", "700"},
                                                                     {"shop/orders", "documents", "9"},
                                                                     {"shop/still", "documents", "1"}}));
    EXPECT_EQ(completed(captured, {}).list, captured.list);
}

TEST(Facts, that_a_capture_does_not_have_are_named) {
    const Facts captured{"same-view",
                         {untold("", "globals", "not compared"),
                          untold("shop/public/logs", "rows", "excluded"),
                          {"shop/public/orders", "about partition of", "shop/public/all"},
                          {"shop/public/orders", "rows", "12"}}};
    const auto lines = lines_of_untold(captured, {});
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].name, "globals");
    EXPECT_EQ(lines[1].name, "shop/public/logs rows");
    EXPECT_EQ(lines[1].found, "excluded");
    EXPECT_EQ(lines[1].result, CheckLine::Result::not_tested);
    EXPECT_EQ(lines_of_untold(captured, {"shop"}).size(), 1U);
    EXPECT_EQ(compare_facts(captured, captured, {}).size(), 1U);
}

}  // namespace

}  // namespace holdfast
