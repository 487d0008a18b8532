#include "sources/mongodb/diff.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "sources/mongodb/names.h"

namespace holdfast::mongodb {
namespace {

std::string after(const std::string& document, const std::string& diff) {
    return to_json(apply_diff(from_json(document), from_json(diff)));
}
std::string modified(const std::string& document, const std::string& update) {
    return to_json(apply_modifiers(from_json(document), from_json(update)));
}
std::string json(const std::string& relaxed) { return to_json(from_json(relaxed)); }

TEST(MongoDiff, ValuesStayInTheirPlaceAndNewFieldsGoToTheEnd) {
    EXPECT_EQ(after(R"({"a": 1, "b": 2, "c": 3})", R"({"d": {"b": false}, "u": {"a": "x"}, "i": {"z": 1, "y": 2}})"),
              json(R"({"a": "x", "c": 3, "z": 1, "y": 2})"));
    EXPECT_EQ(after(R"({"a": 1, "b": 2})", R"({"i": {"a": 9}})"), json(R"({"b": 2, "a": 9})"));
    EXPECT_EQ(after(R"({"a": 1})", R"({"u": {"gone": 9}})"), json(R"({"a": 1, "gone": 9})"));
    EXPECT_EQ(after(R"({})", R"({})"), json(R"({})"));
}

TEST(MongoDiff, GoesIntoDocumentsAndArrays) {
    EXPECT_EQ(after(R"({"o": {"x": 1, "p": {"y": 2}}})", R"({"so": {"u": {"x": 5}, "sp": {"d": {"y": false}}}})"),
              json(R"({"o": {"x": 5, "p": {}}})"));
    EXPECT_EQ(after(R"({"l": [1, {"x": 1}, 3]})", R"({"sl": {"a": true, "u0": 7, "s1": {"u": {"x": 2}}}})"),
              json(R"({"l": [7, {"x": 2}, 3]})"));
    EXPECT_EQ(after(R"({"l": [1, 2, 3]})", R"({"sl": {"a": true, "l": 1}})"), json(R"({"l": [1]})"));
    EXPECT_EQ(after(R"({"l": [1]})", R"({"sl": {"a": true, "u3": 4}})"), json(R"({"l": [1, null, null, 4]})"));
    EXPECT_EQ(after(R"({"l": [1]})", R"({"sl": {"a": true, "l": 3}})"), json(R"({"l": [1, null, null]})"));
    EXPECT_EQ(after(R"({"l": []})", R"({"sl": {"a": true, "s1": {"u": {"x": 2}}}})"), json(R"({"l": [null, null]})"));
}

TEST(MongoDiff, AValueOfAnotherKindStaysAsItIs) {
    EXPECT_EQ(after(R"({"o": 1})", R"({"so": {"u": {"x": 5}}})"), json(R"({"o": 1})"));
    EXPECT_EQ(after(R"({"o": [1]})", R"({"so": {"u": {"x": 5}}})"), json(R"({"o": [1]})"));
    EXPECT_EQ(after(R"({"o": {"a": 1}})", R"({"so": {"a": true, "u0": 5}})"), json(R"({"o": {"a": 1}})"));
}

TEST(MongoDiff, NamesWithDotsDollarsAndWithoutLettersAreNamesLikeOthers) {
    EXPECT_EQ(after(R"({"a.b": {"$c": 1}, "": {"x": 1}})", R"({"sa.b": {"u": {"$c": 2}}, "s": {"u": {"x": 3}}})"),
              json(R"({"a.b": {"$c": 2}, "": {"x": 3}})"));
}

std::string binary(const std::string& base64, const std::string& type) {
    return R"({"$binary": {"base64": ")" + base64 + R"(", "subType": ")" + type + R"("}})";
}
std::string column(const std::string& base64) { return R"({"x": )" + binary(base64, "07") + R"(, "y": 1})"; }
std::string end(int offset, const std::string& base64) {
    return R"({"b": {"x": {"o": )" + std::to_string(offset) + R"(, "d": )" + binary(base64, "00") + "}}}";
}

TEST(MongoDiff, TheEndOfAColumnIsExchanged) {
    EXPECT_EQ(after(column("AAECAwQF"), end(2, "CQ==")), json(column("AAEJ")));          // 0 1 2 3 4 5, then 0 1 9
    EXPECT_EQ(after(column("AAEC"), end(3, "CQkJCQ==")), json(column("AAECCQkJCQ==")));  // at its end
    EXPECT_EQ(after(column("AAEC"), end(0, "CQ==")), json(column("CQ==")));
    EXPECT_EQ(after(column("AAEC"), end(2, "")), json(column("AAE=")));
    const std::string inside = R"({"data": )" + column("AAEC") + "}";
    EXPECT_EQ(after(inside, R"({"sdata": )" + end(1, "CQ==") + "}"), json(R"({"data": )" + column("AAk=") + "}"));
}

TEST(MongoDiff, AColumnThatIsNoneByNowStaysAsItIs) {
    EXPECT_EQ(after(R"({"x": 1})", end(1, "CQ==")), json(R"({"x": 1})"));
    EXPECT_EQ(after(R"({"y": 1})", end(1, "CQ==")), json(R"({"y": 1})"));
    EXPECT_EQ(after(column("AA=="), end(2, "CQ==")), json(column("AA==")));
}

TEST(MongoDiff, BytesOfAnotherKindStop) {
    EXPECT_THROW(after(R"({"x": )" + binary("AAEC", "00") + "}", end(1, "CQ==")), Error);
    for (const std::string change :
         {R"({"o": -1, "d": {"$binary": {"base64": "", "subType": "00"}}})", R"({"o": 1, "d": 1})", R"({"o": 1})",
          R"({"d": {"$binary": {"base64": "", "subType": "00"}}})", R"([])"})
        EXPECT_THROW(after(column("AAEC"), R"({"b": {"x": )" + change + "}}"), Error) << change;
}

TEST(MongoDiff, WhatIsNotKnownStops) {
    EXPECT_THROW(after(R"({})", R"({"b": {"x": 1}})"), Error);
    EXPECT_THROW(after(R"({})", R"({"q": {"x": 1}})"), Error);
    EXPECT_THROW(after(R"({"l": []})", R"({"sl": {"a": true, "q0": 1}})"), Error);
    EXPECT_THROW(after(R"({"l": []})", R"({"sl": {"a": true, "u01": 1}})"), Error);
    EXPECT_THROW(after(R"({})", R"({"u": {"x": 1}, "i": {"x": 2}})"), Error);
    EXPECT_THROW(modified(R"({})", R"({"$inc": {"x": 1}})"), Error);
    std::string deep = R"({"u": {"x": 1}})", document = R"({"x": 0})";
    for (int i = 0; i < 260; ++i) {
        deep = R"({"so": )" + deep + "}";
        document = R"({"o": )" + document + "}";
    }
    EXPECT_THROW(after(document, deep), Error);
}

TEST(MongoModifiers, SetAndUnsetFollowDottedPaths) {
    EXPECT_EQ(
        modified(
            R"({"a": 1, "o": {"x": 1}, "l": [1, {"y": 2}]})",
            R"({"$v": 1, "$set": {"a": 2, "o.x": 3, "o.n.m": 4, "l.1.y": 5, "l.3": 6, "z": 7}, "$unset": {"o.q": true}})"),
        json(R"({"a": 2, "o": {"x": 3, "n": {"m": 4}}, "l": [1, {"y": 5}, null, 6], "z": 7})"));
    EXPECT_EQ(modified(R"({"a": 1, "l": [1, 2]})", R"({"$unset": {"a": true, "l.0": true}})"),
              json(R"({"l": [null, 2]})"));
}

TEST(MongoBson, WhatIsNoneIsRefused) {
    const Bytes good = from_json(
        R"({"a": [1, {"b": "text"}], "c": {"$numberDecimal": "1"}, "d": {"$regularExpression": {"pattern": "x", "options": "i"}}})");
    check_document(good);
    for (std::size_t bytes = 0; bytes < good.size(); ++bytes)
        EXPECT_THROW(check_document(ByteView(good).first(bytes)), Error) << bytes;
    Bytes other = good;
    other[4] = 0x77;
    EXPECT_THROW(check_document(other), Error);
}

TEST(MongoNames, PartsSurviveSlashesDotsAndOurOwnNames) {
    for (const std::string name :
         {"plain", "a/b", "100%", "%2F", ".", "..", "users.bson", "ü\n\"", "~oplog", "system.js"}) {
        EXPECT_EQ(decode_part(encode_collection(name)), name);
        EXPECT_EQ(decode_part(encode_database(name)), name);
        EXPECT_EQ(encode_collection(name).find('/'), std::string::npos);
        EXPECT_EQ(encode_database(name).find('.'), std::string::npos);
        EXPECT_LT(encode_database(name), oplog_folder);
    }
    EXPECT_EQ(item_path({"shop", "a.b/c"}), "shop/a.b%2Fc");
    EXPECT_EQ(namespace_of("shop/a.b%2Fc"), (Namespace{"shop", "a.b/c"}));
    EXPECT_EQ(database_of("shop.metadata.bson"), "shop");
    EXPECT_TRUE(is_metadata("shop.metadata.bson"));
    EXPECT_FALSE(is_metadata("shop/x.metadata.bson"));
}

}  // namespace
}  // namespace holdfast::mongodb
