#include "sources/mongodb/dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "sources/mongodb/archive.h"
#include "sources/mongodb/export.h"

namespace holdfast::mongodb {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MongoDump : public ::testing::Test {
protected:
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
    TemporaryFolder folder_;
    Bytes orders_, metadata_;

    void SetUp() override {
        for (int i = 0; i < 30; ++i)
            append(orders_,
                   Builder().i32("_id", i).text("text", std::string(static_cast<std::size_t>(i) * 7, 'x')).done());
        Collection orders;
        orders.name = {"shop", "orders"};
        orders.type = "collection";
        orders.options = to_bytes(empty_document());
        orders.indexes = {from_json(R"({"v": 2, "key": {"x": 1}, "name": "x_1"})")};
        Collection view;
        view.name = {"shop", "paid"};
        view.type = "view";
        view.options = from_json(R"({"viewOn": "orders", "pipeline": []})");
        metadata_ = encode_metadata({orders, view});
    }

    std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
    void write(const std::string& name, ByteView bytes) {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        write_file_durably(path(name), bytes);
    }
    void write_packed(const std::string& name, ByteView bytes) {
        gzFile file = gzopen(path(name).c_str(), "wb");
        gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
        gzclose(file);
    }
    Bytes exported(const std::string& format) {
        Bytes out;
        const auto to = export_as(
            {world_, format, {"shop.metadata.bson", "shop/orders"}, {}, [&](ByteView bytes) { append(out, bytes); }});
        for (const auto& [item, bytes] :
             {std::pair<std::string, const Bytes&>("shop.metadata.bson", metadata_), {"shop/orders", orders_}}) {
            to->begin_item(item);
            for (std::size_t at = 0; at < bytes.size(); at += 100)
                to->write(ByteView(bytes).subspan(at, std::min<std::size_t>(100, bytes.size() - at)));
            to->end_item();
        }
        to->finish();
        return out;
    }
    std::map<std::string, Bytes> captured(const std::string& name, Facts* facts = nullptr) {
        const TemporaryFolder work;
        const auto source = load_dump({world_, path(name), work.path(), "shop"});
        const auto capture = source->begin({world_});
        std::map<std::string, Bytes> out;
        Batch batch;
        while (capture->next(batch))
            for (const Batch::Entry& entry : batch.entries) {
                Bytes& bytes = out[entry.item.path];
                if (entry.item.kind != ItemKind::file) continue;
                const auto opened = capture->open(batch, entry);
                Bytes piece(333);
                while (const std::size_t got = opened.data->read(piece).bytes)
                    append(bytes, ByteView(piece).first(got));
            }
        const CaptureSummary summary = capture->finish();
        if (facts != nullptr) *facts = *summary.facts;
        return out;
    }
    void expect_whole(const std::string& name) {
        Facts facts;
        const auto found = captured(name, &facts);
        ASSERT_EQ(found.size(), 3U) << name;
        EXPECT_EQ(found.at("shop/orders"), orders_) << name;
        const auto collections = decode_metadata("shop", found.at("shop.metadata.bson"));
        ASSERT_EQ(collections.size(), 2U);
        EXPECT_EQ(text_of(collections[0].indexes.at(0), "name"), "x_1");
        EXPECT_TRUE(collections[1].is_view());
        EXPECT_EQ(facts.value("shop/orders", "documents"), "30");
    }
};

TEST_F(MongoDump, WhatIsExportedIsReadBackInEveryForm) {
    const Bytes archive = exported("archive"), tar = exported("tar");
    write("shop.archive", archive);
    write_packed("shop.archive.gz", archive);
    write("shop.tar", tar);
    write_packed("shop.tar.gz", tar);
    for (const std::string name : {"shop.archive", "shop.archive.gz", "shop.tar", "shop.tar.gz"}) expect_whole(name);
    EXPECT_EQ(dump_format(path("shop.archive.gz")), "archive");
    EXPECT_EQ(dump_format(path("shop.tar")), "tar");
}

TEST_F(MongoDump, AFolderIsReadWithPackedFilesUsersAndTheOplog) {
    write("dump/shop/orders.bson", orders_);
    write("dump/shop/orders.metadata.json",
          as_bytes(R"({"options":{},"indexes":[{"v":2,"key":{"_id":1},"name":"_id_","ns":"shop.orders"}]})"));
    write("dump/shop/a%2Fb.bson", ByteView());
    write("dump/admin/system.users.bson", from_json(R"({"_id": "admin.me"})"));
    const Bytes entry = Builder()
                            .text("op", "i")
                            .text("ns", "shop.orders")
                            .timestamp("ts", 5)
                            .document("o", from_json(R"({"_id": 99})"))
                            .done();
    write("dump/oplog.bson", entry);
    write_packed("dump/shop/packed.bson.gz", orders_);
    EXPECT_EQ(dump_format(path("dump")), "folder");
    Facts facts;
    const auto found = captured("dump", &facts);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : found) names.push_back(name);
    EXPECT_THAT(names, ElementsAre("shop", "shop.metadata.bson", "shop/a%2Fb", "shop/orders", "shop/packed",
                                   "users.bson", "~oplog", "~oplog/entries.bson"));
    EXPECT_EQ(found.at("shop/packed"), orders_);
    EXPECT_EQ(found.at("~oplog/entries.bson"), entry);
    EXPECT_EQ(facts.value("shop/packed", "documents"), "30");
    EXPECT_EQ(facts.value("shop/orders", "documents"), std::nullopt);  // the oplog changes it
}

TEST_F(MongoDump, WhatIsCutOrDamagedIsNotTaken) {
    const Bytes archive = exported("archive"), tar = exported("tar");
    for (const auto& [name, bytes] : {std::pair<std::string, const Bytes&>("cut.archive", archive), {"cut.tar", tar}}) {
        write(name, ByteView(bytes).first(bytes.size() / 2));
        EXPECT_THROW(captured(name), Error) << name;
    }
    write("x/shop/orders.bson", ByteView(orders_).first(orders_.size() - 3));
    EXPECT_THROW(captured("x"), Error);
    write("y/shop/orders.bson", as_bytes("this is no BSON at all, whatever it says"));
    EXPECT_THROW(captured("y"), Error);
    write("text", as_bytes("hello"));
    EXPECT_EQ(dump_format(path("text")), "");
    EXPECT_EQ(dump_format(path("none")), "");
    try {
        captured("text");
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::source_failed);
        EXPECT_THAT(error.hint(), HasSubstr("mongodump --archive"));
    }
}

}  // namespace
}  // namespace holdfast::mongodb
