#include "sources/mongodb/dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "sources/mongodb/archive.h"
#include "sources/mongodb/export.h"
#include "sources/mongodb/unpack.h"

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
        std::ofstream(path(name), std::ios::binary) << as_text(bytes);
    }
    Bytes read_file(const std::string& name) const {
        std::ifstream file(path(name), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        return to_bytes(as_bytes(text));
    }
    void write_packed(const std::string& name, ByteView bytes) {
        gzFile file = gzopen(path(name).c_str(), "wb");
        gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
        gzclose(file);
    }
    using Items = std::vector<std::pair<std::string, Bytes>>;  // in tree order: those at the root come first
    Bytes exported(const std::string& format) {
        return exported(format, {{"shop.metadata.bson", metadata_}, {"shop/orders", orders_}});
    }
    // A folder comes into being as `folder`; what is given back of it is empty.
    Bytes exported(const std::string& format, const Items& items) {
        Bytes out;
        std::string file;
        std::vector<std::string> names;
        for (const auto& [item, bytes] : items) names.push_back(item);
        const auto put = [&](ByteView bytes) {
            if (file.empty()) return append(out, bytes);
            std::ofstream(path("folder/" + file), std::ios::app | std::ios::binary) << as_text(bytes);
        };
        const auto begin_file = [&](const std::string& name, ExportRequest::Packing) {
            file = name;
            write("folder/" + name, {});
        };
        const auto to = export_as({world_, format, names, {}, put, begin_file});
        for (const auto& [item, bytes] : items) {
            to->begin_item(item);
            for (std::size_t at = 0; at < bytes.size(); at += 100)
                to->write(ByteView(bytes).subspan(at, std::min<std::size_t>(100, bytes.size() - at)));
            to->end_item();
        }
        to->finish();
        return out;
    }
    static Collection plain(const std::string& name) {
        Collection out;
        out.name = {"shop", name};
        out.type = "collection";
        out.options = to_bytes(empty_document());
        return out;
    }
    std::map<std::string, Bytes> captured(const std::string& name, CaptureSummary* summary = nullptr,
                                          const std::string& database = "") {
        const TemporaryFolder work;
        const auto source = load_dump({world_, path(name), work.path(), "shop", database});
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
        const CaptureSummary finished = capture->finish();
        if (summary != nullptr) *summary = finished;
        return out;
    }
    void expect_whole(const std::string& name) {
        CaptureSummary summary;
        const auto found = captured(name, &summary);
        ASSERT_EQ(found.size(), 3U) << name;
        EXPECT_EQ(found.at("shop/orders"), orders_) << name;
        const auto collections = decode_metadata("shop", found.at("shop.metadata.bson"));
        ASSERT_EQ(collections.size(), 2U);
        EXPECT_EQ(text_of(collections[0].indexes.at(0), "name"), "x_1");
        EXPECT_TRUE(collections[1].is_view());
        EXPECT_EQ(summary.facts->value("shop/orders", "documents"), "30");
        EXPECT_TRUE(summary.several_instants) << "without an oplog";
    }
};

TEST_F(MongoDump, WhatIsExportedIsReadBackInEveryForm) {
    const Bytes archive = exported("archive"), tar = exported("tar");
    write("shop.archive", archive);
    write_packed("shop.archive.gz", archive);
    write("shop.tar", tar);
    write_packed("shop.tar.gz", tar);
    exported("directory");
    for (const std::string name : {"shop.archive", "shop.archive.gz", "shop.tar", "shop.tar.gz", "folder"})
        expect_whole(name);
    EXPECT_EQ(dump_format(path("shop.archive.gz")), "archive");
    EXPECT_EQ(dump_format(path("shop.tar")), "tar");
}

TEST_F(MongoDump, UsersAndRolesGoOutAndComeBack) {
    const Bytes users = from_json(R"({"_id": "shop.me", "user": "me", "db": "shop"})");
    const Bytes roles = from_json(R"({"_id": "shop.r", "role": "r", "db": "shop"})");
    const Items items{{"roles.bson", roles},
                      {"shop.metadata.bson", encode_metadata({plain("orders")})},
                      {"users.bson", users},
                      {"shop/orders", orders_}};
    for (const std::string format : {"archive", "tar", "directory"}) {
        const Bytes out = exported(format, items);
        if (format != "directory") write(format, out);
        const auto found = captured(format == "directory" ? "folder" : format);
        EXPECT_EQ(found.at("users.bson"), users) << format;
        EXPECT_EQ(found.at("roles.bson"), roles) << format;
        EXPECT_EQ(found.at("shop/orders"), orders_) << format;
        EXPECT_FALSE(found.contains("admin")) << format;
    }
    EXPECT_TRUE(std::filesystem::exists(path("folder/admin/system.version.bson")));
}

TEST_F(MongoDump, UsersOfADatabaseThatWasDumpedWithThemAreNoCollection) {
    const Bytes user = from_json(R"({"_id": "shop.me", "user": "me", "db": "shop"})");
    write("dump/shop/orders.bson", orders_);
    write("dump/shop/$admin.system.users.bson", user);
    write("dump/shop/%24admin.system.roles.bson", {});
    write("dump/shop/$admin.system.version.bson", from_json(R"({"_id": "authSchema", "currentVersion": 5})"));
    const auto found = captured("dump");
    EXPECT_EQ(found.at("users.bson"), user);
    EXPECT_EQ(found.size(), 4U);
    EXPECT_EQ(decode_metadata("shop", found.at("shop.metadata.bson")).size(), 1U);
}

TEST_F(MongoDump, NamesThatAreTooLongForFilesAreInTheMetadata) {
    const std::string longest = std::string(200, 'n') + "/" + std::string(39, 'm');
    // printf '%s' NAME | sha1sum, in base64 for URLs
    EXPECT_EQ(dump_file_name(longest),
              std::string(200, 'n') + "%2F" + std::string(5, 'm') + "%24" + "5mkVOnrWPX5KvQ7l8hVGlgFba8w");
    EXPECT_EQ(dump_file_name("a b/%$.x"), "a%20b%2F%25$.x");
    Collection series = plain(longest + "s");
    series.type = "timeseries";
    series.options = from_json(R"({"timeseries": {"timeField": "at"}})");
    const Bytes metadata = encode_metadata({plain(longest), series});
    const Items items{{"shop.metadata.bson", metadata},
                      {item_path({"shop", longest}), orders_},
                      {item_path({"shop", longest + "s"}), orders_}};
    for (const std::string format : {"archive", "tar", "directory"}) {
        const Bytes out = exported(format, items);
        if (format != "directory") write(format, out);
        const auto found = captured(format == "directory" ? "folder" : format);
        EXPECT_EQ(found.at(item_path({"shop", longest})), orders_) << format;
        EXPECT_EQ(found.at(item_path({"shop", longest + "s"})), orders_) << format;
        EXPECT_EQ(found.size(), 4U) << format;
    }
    // Whoever renames a file wants another name, whatever the metadata says.
    write("renamed/shop/orders_old.bson", orders_);
    write("renamed/shop/orders_old.metadata.json",
          as_bytes(R"({"options": {}, "indexes": [], "collectionName": "orders"})"));
    EXPECT_EQ(captured("renamed").at("shop/orders_old"), orders_);
    write("cut/shop/" + dump_file_name(longest) + ".bson", orders_);
    write("cut/shop/" + dump_file_name(longest) + ".metadata.json", as_bytes(R"({"options": {}, "indexes": []})"));
    EXPECT_THROW(captured("cut"), Error);
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
    CaptureSummary summary;
    const auto found = captured("dump", &summary);
    std::vector<std::string> names;
    for (const auto& [name, bytes] : found) names.push_back(name);
    EXPECT_THAT(names, ElementsAre("shop", "shop.metadata.bson", "shop/a%2Fb", "shop/orders", "shop/packed",
                                   "users.bson", "~oplog", "~oplog/entries.bson"));
    EXPECT_EQ(found.at("shop/packed"), orders_);
    EXPECT_EQ(found.at("~oplog/entries.bson"), entry);
    EXPECT_FALSE(summary.several_instants);
    EXPECT_EQ(summary.facts->value("shop/packed", "documents"), "30");
    EXPECT_EQ(summary.facts->value("shop/orders", "documents"), std::nullopt);  // the oplog changes it
}

TEST_F(MongoDump, CollectionsWithoutADatabaseAreOfTheOneThatIsNamed) {
    write("flat/backup-2024-01-31/orders.bson", orders_);
    write("flat/backup-2024-01-31/orders.metadata.json", as_bytes(R"({"options": {}, "indexes": []})"));
    EXPECT_EQ(captured("flat/backup-2024-01-31", nullptr, "shop").at("shop/orders"), orders_);
    EXPECT_THROW(captured("flat/backup-2024-01-31"), Error) << "of which database?";
    const auto tar = [&](const std::string& name, const std::string& top) {
        const std::string command = "tar -C " + path(top) + " -cf " + path(name) + " .";
        ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT(cert-env33-c)
    };
    tar("flat.tar", "flat");
    tar("bare.tar", "flat/backup-2024-01-31");
    write("named/dump/shop/orders.bson", orders_);
    tar("named.tar", "named");
    EXPECT_EQ(captured("flat.tar", nullptr, "shop").at("shop/orders"), orders_);
    EXPECT_EQ(captured("bare.tar", nullptr, "shop").at("shop/orders"), orders_);
    EXPECT_EQ(captured("named.tar", nullptr, "other").at("shop/orders"), orders_);
    EXPECT_THROW(captured("bare.tar"), Error) << "of which database?";
}

TEST_F(MongoDump, ACollectionWithoutItsDocumentsIsRefused) {
    const auto metadata = as_bytes(R"({"options": {}, "indexes": [], "collectionName": "orders"})");
    const auto expect_refusal = [&](const std::string& file) {
        try {
            captured("dump");
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::source_failed);
            EXPECT_THAT(error.message(), HasSubstr("its documents (" + file + ") are not there"));
            EXPECT_THAT(error.hint(), HasSubstr("put an empty " + file));
        }
    };
    write("dump/shop/other.bson", orders_);
    write("dump/shop/orders.metadata.json", metadata);
    write("dump/shop/paid.metadata.json", as_bytes(R"({"options": {"viewOn": "orders", "pipeline": []}})"));
    expect_refusal("orders.bson");
    write("dump/shop/orders.bson", {});
    EXPECT_EQ(captured("dump").at("shop/orders"), Bytes());
    write("dump/shop/points.metadata.json", as_bytes(R"({"options": {"timeseries": {"timeField": "at"}}})"));
    write("dump/shop/points.bson", {});  // that of its buckets counts
    expect_refusal("system.buckets.points.bson");
}

TEST_F(MongoDump, WhatIsCutOrDamagedIsNotTaken) {
    const Bytes archive = exported("archive"), tar = exported("tar");
    for (const auto& [name, bytes] : {std::pair<std::string, const Bytes&>("cut.archive", archive), {"cut.tar", tar}}) {
        write(name, ByteView(bytes).first(bytes.size() / 2));
        EXPECT_THROW(captured(name), Error) << name;
    }
    constexpr std::size_t block = 512;
    // Cut where a file in it ends; one of its headers changed; two in one.
    write("ends.tar", ByteView(tar).first(tar.size() - 2 * block));
    Bytes changed = tar;
    const auto named = std::ranges::search(changed, std::string_view("orders.bson"));
    ASSERT_FALSE(named.empty());
    *named.begin() = 'O';
    write("changed.tar", changed);
    Bytes twice = to_bytes(ByteView(tar).first(tar.size() - 2 * block));
    append(twice, tar);
    write("twice.tar", twice);
    for (const auto& [name, says] : {std::pair<std::string, std::string>("ends.tar", "ends before its end"),
                                     {"changed.tar", "checksum of a header"},
                                     {"twice.tar", "twice"}}) {
        try {
            captured(name);
            FAIL() << name;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::source_failed);
            EXPECT_THAT(error.message(), HasSubstr(says));
        }
    }
    // The checksum of gzip lies behind the tar's end.
    write_packed("whole.tar.gz", tar);
    Bytes packed = read_file("whole.tar.gz");
    packed[packed.size() - 8] ^= 1;
    write("sum.tar.gz", packed);
    EXPECT_THROW(captured("sum.tar.gz"), Error);
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
