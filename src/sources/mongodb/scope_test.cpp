#include "sources/mongodb/scope.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast::mongodb {
namespace {

Scope scope(std::vector<std::string> databases, std::vector<std::string> collections,
            std::vector<std::string> exclude) {
    CaptureOptions options;
    options.databases = std::move(databases);
    options.collections = std::move(collections);
    options.exclude = std::move(exclude);
    return Scope(options);
}

Bytes entry(std::string_view op, std::string_view ns, const std::string& o, const std::string& more = "{}") {
    Builder out;
    out.text("op", op).text("ns", ns).timestamp("ts", 7).document("o", from_json(o));
    const Bytes rest = from_json(more);
    for (const Element& each : Elements(rest)) out.add(each);
    return out.done();
}

std::string own(const Scope& scope, const Bytes& entry) {
    Bytes room;
    const ByteView part = scope.own_part(parse_entry(entry), room);
    if (part.empty()) return "nothing";
    if (part.data() == entry.data()) return "all";
    return to_json(document_of(part, "o"));
}
std::string json(const std::string& relaxed) { return to_json(from_json(relaxed)); }

TEST(MongoScope, CoversByNamesAndGlobs) {
    EXPECT_TRUE(Scope().covers({"shop", "a"}));
    EXPECT_FALSE(Scope().covers({"config", "a"}));
    const Scope some = scope({"shop", "s2*"}, {}, {"shop/log", "s21", "shop/t*"});
    EXPECT_TRUE(some.covers({"shop", "a"}));
    EXPECT_FALSE(some.covers({"shop", "log"}));
    EXPECT_FALSE(some.covers({"shop", "system.buckets.t1"}));
    EXPECT_TRUE(some.covers({"shop", "tmp.agg_out.1"}));
    EXPECT_FALSE(some.covers({"s21", "a"}));
    EXPECT_TRUE(some.covers({"s22", "a"}));
    EXPECT_FALSE(some.covers({"other", "tmp.agg_out.1"}));
    const Scope one = scope({"shop"}, {"shop/a"}, {});
    EXPECT_TRUE(one.covers({"shop", "a"}));
    EXPECT_FALSE(one.covers({"shop", "b"}));
    EXPECT_TRUE(one.covers({"shop", "holdfast_canary"}));
    EXPECT_TRUE(one.covers({"shop", "tmpab1Cd.convertToCapped.a"}));
    EXPECT_TRUE(one.covers({"shop", "tmpab1Cd.renameCollection"}));
    EXPECT_FALSE(one.covers({"shop", "tmpab1Cde.renameCollection"}));
    EXPECT_FALSE(one.covers({"shop", "tmpab1Cd.renameCollections"}));
    EXPECT_FALSE(one.covers({"shop", "tmp"}));
}

TEST(MongoScope, IsTheSameAsItsText) {
    const Scope some = scope({"shop"}, {"shop/a\"b"}, {"shop/log"});
    EXPECT_EQ(Scope::parse(some.text()).text(), some.text());
    EXPECT_FALSE(Scope::parse(some.text()).covers({"shop", "log"}));
    EXPECT_THROW(Scope::parse("{nonsense"), Error);
}

TEST(MongoScope, TakesOfEveryKindOfEntryWhatIsItsOwn) {
    const Scope shop = scope({"shop"}, {}, {"shop/log", "shop/hidden"});
    EXPECT_EQ(own(shop, entry("i", "shop.a", "{}")), "all");
    EXPECT_EQ(own(shop, entry("i", "shop.log", "{}")), "nothing");
    EXPECT_EQ(own(shop, entry("d", "other.a", "{}")), "nothing");
    EXPECT_EQ(own(shop, entry("n", "", "{}")), "nothing");
    EXPECT_EQ(own(shop, entry("zz", "shop.a", "{}")), "all");
    EXPECT_EQ(own(shop, entry("i", "shop.system.views", R"({"_id": "shop.v"})")), "all");
    EXPECT_EQ(own(shop, entry("i", "shop.system.views", R"({"_id": "shop.hidden"})")), "nothing");
    EXPECT_EQ(own(shop, entry("u", "shop.system.views", "{}", R"({"o2": {"_id": "shop.hidden"}})")), "nothing");
    for (const std::string verb : {"create", "drop", "createIndexes", "commitIndexBuild", "dropIndexes", "collMod",
                                   "convertToCapped", "emptycapped"}) {
        EXPECT_EQ(own(shop, entry("c", "shop.$cmd", R"({")" + verb + R"(": "a"})")), "all") << verb;
        EXPECT_EQ(own(shop, entry("c", "shop.$cmd", R"({")" + verb + R"(": "log"})")), "nothing") << verb;
        EXPECT_EQ(own(shop, entry("c", "other.$cmd", R"({")" + verb + R"(": "a"})")), "nothing") << verb;
    }
    EXPECT_EQ(own(shop, entry("c", "shop.$cmd", R"({"create": "system.buckets.log"})")), "nothing");
    EXPECT_EQ(own(shop, entry("c", "shop.$cmd", R"({"dropDatabase": 1})")), "all");
    EXPECT_EQ(own(shop, entry("c", "other.$cmd", R"({"dropDatabase": 1})")), "nothing");
    EXPECT_EQ(own(shop, entry("c", "shop.$cmd", R"({"renameCollection": "shop.a", "to": "other.a"})")), "all");
    EXPECT_EQ(own(shop, entry("c", "other.$cmd", R"({"renameCollection": "other.a", "to": "other.b"})")), "nothing");
}

TEST(MongoScope, OfTransactionsOnlyItsOwnOperationsStay) {
    const Scope shop = scope({"shop"}, {}, {"shop/log"});
    const std::string mine = R"({"op": "i", "ns": "shop.a", "o": {"_id": 1}})";
    const std::string foreign = R"({"op": "i", "ns": "other.a", "o": {"_id": 1}})";
    const std::string excluded = R"({"op": "d", "ns": "shop.log", "o": {"_id": 1}})";
    const std::string session = R"("lsid": {"id": 1}, "txnNumber": {"$numberLong": "4"})";
    const auto ops = [](const std::string& list, const std::string& more = "") {
        return R"({"applyOps": [)" + list + "]" + more + "}";
    };
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", ops(mine))), "all");
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", ops(foreign + "," + mine + "," + excluded, R"(, "count": 3)"))),
              json(ops(mine, R"(, "count": 3)")));
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", ops(foreign))), "nothing");
    // A part that is empty is a part all the same.
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", ops(foreign, R"(, "partialTxn": true)"), "{" + session + "}")),
              json(ops("", R"(, "partialTxn": true)")));
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", ops(foreign),
                              "{" + session + R"(, "prevOpTime": {"ts": {"$timestamp": {"t": 5, "i": 1}}}})")),
              json(ops("")));
    EXPECT_EQ(own(shop, entry("c", "admin.$cmd", R"({"commitTransaction": 1})", "{" + session + "}")), "all");
}

TEST(MongoScope, KnowsWhatComesInByBeingRenamed) {
    const Scope shop = scope({"shop"}, {"shop/a"}, {});
    const auto enters = [&](const std::string& from, const std::string& to) {
        const Bytes renamed =
            entry("c", "shop.$cmd", R"({"renameCollection": ")" + from + R"(", "to": ")" + to + R"("})");
        return shop.is_entered_by(parse_entry(renamed));
    };
    EXPECT_TRUE(enters("shop.b", "shop.a"));
    EXPECT_TRUE(enters("other.b", "shop.a"));
    EXPECT_FALSE(enters("shop.a", "shop.b"));
    EXPECT_FALSE(enters("shop.b", "shop.c"));
    EXPECT_FALSE(enters("shop.tmp.agg_out.1", "shop.a"));
}

}  // namespace
}  // namespace holdfast::mongodb
