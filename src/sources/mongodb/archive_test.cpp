#include "sources/mongodb/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast::mongodb {
namespace {

using ::testing::ElementsAre;

struct Gathered final : ArchiveReader::Sink {
    std::vector<Collection> collections;
    std::map<std::string, Bytes> documents;
    std::vector<std::string> ended;
    void collection(const Collection& each) override { collections.push_back(each); }
    void document(const Namespace& name, ByteView document) override { append(documents[name.text()], document); }
    void end(const Namespace& name) override { ended.push_back(name.text()); }
};

Bytes archive() {
    Collection orders;
    orders.name = {"shop", "orders"};
    orders.type = "collection";
    orders.options = from_json(R"({"capped": true, "size": 4096})");
    orders.uuid = Bytes(16, 7);
    orders.indexes = {from_json(R"({"v": 2, "key": {"x": 1}, "name": "x_1", "unique": true})")};
    Collection view;
    view.name = {"shop", "paid"};
    view.type = "view";
    view.options = from_json(R"({"viewOn": "orders", "pipeline": []})");
    Bytes out;
    ArchiveWriter writer([&](ByteView bytes) { append(out, bytes); });
    writer.begin("6.0.1", {orders, view}, true);
    writer.begin_collection(orders.name);
    for (int i = 0; i < 50; ++i)
        writer.documents(Builder().i32("_id", i).text("text", std::string(static_cast<std::size_t>(i), 'x')).done());
    writer.end_collection();
    writer.begin_collection({"", "oplog"});
    writer.end_collection();
    return out;
}

TEST(MongoArchive, WhatIsWrittenIsReadInPiecesOfAnySize) {
    const Bytes bytes = archive();
    for (const std::size_t piece : {1U, 7U, 1000U, 1000000U}) {
        Gathered found;
        ArchiveReader reader(found);
        for (std::size_t at = 0; at < bytes.size(); at += piece)
            reader.feed(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
        reader.finish();
        ASSERT_EQ(found.collections.size(), 2U);
        EXPECT_EQ(to_json(found.collections[0].options), to_json(from_json(R"({"capped": true, "size": 4096})")));
        EXPECT_EQ(found.collections[0].indexes.size(), 1U);
        EXPECT_EQ(found.collections[0].uuid, Bytes(16, 7));
        EXPECT_TRUE(found.collections[1].is_view());
        EXPECT_EQ(found.documents["shop.orders"].size(), 50 * 25 + 49 * 50 / 2);
        EXPECT_THAT(found.ended, ElementsAre("shop.orders", ".oplog"));
    }
}

TEST(MongoArchive, ACutOrChangedOneIsNotTaken) {
    const Bytes bytes = archive();
    for (std::size_t cut = 0; cut < bytes.size(); cut += 13) {
        Gathered found;
        ArchiveReader reader(found);
        EXPECT_THROW(
            {
                reader.feed(ByteView(bytes).first(cut));
                reader.finish();
            },
            Error)
            << cut;
    }
    Bytes other = bytes;
    const std::string text = "xxxxxxxxxx";
    const auto at = std::search(other.begin(), other.end(), text.begin(), text.end());
    ASSERT_NE(at, other.end());
    *at = 'y';
    Gathered found;
    ArchiveReader reader(found);
    EXPECT_THROW(reader.feed(other), Error);
}

TEST(MongoArchive, TheSumIsThatOfGo) {
    Crc64 sum;
    sum.add(as_bytes("123456789"));
    EXPECT_EQ(sum.value(), 0x995dc9bbdf1939faULL);  // CRC-64/XZ
}

}  // namespace
}  // namespace holdfast::mongodb
