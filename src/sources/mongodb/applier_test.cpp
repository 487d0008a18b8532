#include "sources/mongodb/applier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "sources/mongodb/diff.h"
#include "sources/mongodb/journal_replay.h"

namespace holdfast::mongodb {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Documents in memory, by the text of their _id.
class Model final : public ReplayTarget {
public:
    std::map<std::string, std::map<std::string, std::string>> documents;  // JSON
    std::map<std::string, std::vector<std::string>> indexes;
    std::vector<std::string> commands;
    std::uint64_t writes = 0;

    bool takes(const Namespace& name) override { return name.database != "other"; }
    std::vector<Bytes> fetch(const Namespace& name, const std::vector<Bytes>& ids) override {
        std::vector<Bytes> out;
        for (const Bytes& id : ids)
            if (const auto found = documents[name.text()].find(to_json(id)); found != documents[name.text()].end())
                out.push_back(from_json(found->second));
        return out;
    }
    void write(const Namespace& name, const std::vector<Bytes>& removed, const std::vector<Bytes>& added) override {
        ++writes;
        for (const Bytes& id : removed) documents[name.text()].erase(to_json(id));
        for (const Bytes& each : added)
            documents[name.text()][to_json(Builder().add(*find(each, "_id")).done())] = to_json(each);
    }
    bool has(const Namespace& name) override { return documents.contains(name.text()); }
    void create(const Collection& collection) override {
        documents[collection.name.text()];
        commands.push_back("create " + collection.name.text() + " " + to_json(collection.options));
    }
    void drop(const Namespace& name) override {
        documents.erase(name.text());
        commands.push_back("drop " + name.text());
    }
    void rename(const Namespace& from, const Namespace& to) override {
        documents[to.text()] = documents[from.text()];
        documents.erase(from.text());
    }
    void modify(const Namespace& name, ByteView command) override {
        commands.push_back(name.text() + " " + to_json(command));
    }
    void add_index(const Namespace& name, ByteView index) override {
        indexes[name.text()].push_back(text_of(index, "name"));
    }
    void drop_index(const Namespace& name, const std::string& index) override {
        std::erase(indexes[name.text()], index);
    }

    std::vector<std::string> of(const std::string& name) {
        std::vector<std::string> out;
        for (const auto& [id, document] : documents[name]) out.push_back(document);
        return out;
    }
};

std::string json(const std::string& relaxed) { return to_json(from_json(relaxed)); }

class MongoReplay : public ::testing::Test {
protected:
    Model model_;
    std::vector<Collection> known_;
    std::vector<Bytes> log_;
    std::uint32_t next_ = 1;

    void entry(std::string_view op, const std::string& ns, const std::string& o, const std::string& more = "{}") {
        Builder out;
        out.text("op", op).text("ns", ns).timestamp("ts", (1000ULL << 32) + next_++).i64("t", 1);
        const Bytes object = from_json(o), rest = from_json(more);
        out.document("o", object);
        for (const Element& each : Elements(rest)) out.add(each);
        log_.push_back(out.done());
    }
    void play() {
        Applier applier(model_, known_);
        for (const Bytes& each : log_) applier.apply(parse_entry(each));
        applier.flush();
    }
};

const std::string uuid_a = R"("ui": {"$binary": {"base64": "AAAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}})";
const std::string uuid_b = R"("ui": {"$binary": {"base64": "AQAAAAAAAAAAAAAAAAAAAA==", "subType": "04"}})";

TEST_F(MongoReplay, EveryFormOfAChangeIsAppliedOnceOrTwiceAlike) {
    entry("i", "shop.a", R"({"_id": 1, "n": 1, "list": [1, 2, 3]})");
    entry("i", "shop.a", R"({"_id": 2})");
    entry("u", "shop.a",
          R"({"$v": 2, "diff": {"u": {"n": 5}, "i": {"new": true}, "slist": {"a": true, "l": 2, "u0": 9}}})",
          R"({"o2": {"_id": 1}})");
    entry("u", "shop.a", R"({"$v": 1, "$set": {"deep.er": 1}, "$unset": {"n": true}})", R"({"o2": {"_id": 1}})");
    entry("u", "shop.a", R"({"_id": 2, "whole": 1})", R"({"o2": {"_id": 2}})");
    entry("i", "shop.a", R"({"_id": 3})");
    entry("d", "shop.a", R"({"_id": 3})");
    entry("i", "other.a", R"({"_id": 1})");
    entry("n", "", R"({"msg": "periodic noop"})");
    const std::vector<std::string> expected{json(R"({"_id": 1, "list": [9, 2], "new": true, "deep": {"er": 1}})"),
                                            json(R"({"_id": 2, "whole": 1})")};
    play();
    EXPECT_EQ(model_.of("shop.a"), expected);
    EXPECT_EQ(model_.writes, 1U);
    play();
    EXPECT_EQ(model_.of("shop.a"), expected);
    EXPECT_FALSE(model_.documents.contains("other.a"));
}

TEST_F(MongoReplay, UpdatesFindTheDocumentsOfTheBase) {
    model_.documents["shop.a"][json(R"({"_id": 1})")] = json(R"({"_id": 1, "n": 1})");
    entry("u", "shop.a", R"({"$v": 2, "diff": {"u": {"n": 2}}})", R"({"o2": {"_id": 1}})");
    entry("u", "shop.a", R"({"$v": 2, "diff": {"u": {"n": 2}}})", R"({"o2": {"_id": 7}})");
    play();
    EXPECT_THAT(model_.of("shop.a"), ElementsAre(json(R"({"_id": 1, "n": 2})")));
}

TEST_F(MongoReplay, CommandsMakeRenameAndDropCollectionsAndIndexes) {
    entry("c", "shop.$cmd", R"({"create": "a", "capped": true, "size": 9, "idIndex": {"v": 2}})");
    entry("i", "shop.a", R"({"_id": 1})");
    entry("c", "shop.$cmd", R"({"createIndexes": "a", "v": 2, "key": {"x": 1}, "name": "x"})");
    entry("c", "shop.$cmd",
          R"({"commitIndexBuild": "a", "indexes": [{"key": {"y": 1}, "name": "y"}, {"key": {"z": 1}, "name": "z"}]})");
    entry("c", "shop.$cmd", R"({"startIndexBuild": "a", "indexes": []})");
    entry("c", "shop.$cmd", R"({"dropIndexes": "a", "index": "y"})");
    entry("c", "shop.$cmd", R"({"collMod": "a", "validator": {"x": 1}})");
    entry("c", "shop.$cmd", R"({"create": "b"})");
    entry("i", "shop.b", R"({"_id": 1})");
    entry("c", "shop.$cmd", R"({"drop": "b"})");
    entry("c", "shop.$cmd", R"({"renameCollection": "shop.a", "to": "shop.c", "stayTemp": false})");
    entry("i", "shop.c", R"({"_id": 2})");
    play();
    EXPECT_EQ(model_.of("shop.c").size(), 2U);
    EXPECT_FALSE(model_.documents.contains("shop.a"));
    EXPECT_FALSE(model_.documents.contains("shop.b"));
    EXPECT_THAT(model_.indexes["shop.a"], ElementsAre("x", "z"));
    EXPECT_EQ(model_.commands[0], "create shop.a " + json(R"({"capped": true, "size": 9})"));
    EXPECT_THAT(model_.commands[1], HasSubstr("validator"));
}

TEST_F(MongoReplay, AnUnknownKindOrCommandStops) {
    entry("zz", "shop.a", R"({"_id": 1})");
    EXPECT_THROW(play(), Error);
    log_.clear();
    entry("c", "shop.$cmd", R"({"inventSomething": "a"})");
    EXPECT_THROW(play(), Error);
    log_.clear();
    entry("u", "shop.a", R"({"$v": 3, "diff": {}})", R"({"o2": {"_id": 1}})");
    EXPECT_THROW(play(), Error);
}

TEST_F(MongoReplay, TransactionsCountWhenTheyAreCommitted) {
    const std::string session = R"("lsid": {"id": 1}, "txnNumber": {"$numberLong": "4"})";
    const std::string other = R"({"lsid": {"id": 2}, "txnNumber": {"$numberLong": "4"}})";
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 1}}], "partialTxn": true})",
          "{" + session + "}");
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 9}}], "prepare": true})", other);
    entry("i", "shop.a", R"({"_id": 5})");
    play();
    EXPECT_EQ(model_.of("shop.a").size(), 1U);
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 2}}]})",
          "{" + session + R"(, "prevOpTime": {"ts": {"$timestamp": {"t": 5, "i": 1}}}})");
    entry("c", "admin.$cmd", R"({"abortTransaction": 1})", other);
    play();
    EXPECT_EQ(model_.of("shop.a").size(), 3U);
    // Inserts of one command carry a session, too, and are no transaction.
    log_.clear();
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.b", "o": {"_id": 2}}]})",
          "{" + session + R"(, "multiOpType": 1})");
    play();
    EXPECT_EQ(model_.of("shop.b").size(), 1U);
    // Only the end of one.
    log_.clear();
    entry("c", "admin.$cmd", R"({"applyOps": []})",
          "{" + session + R"(, "prevOpTime": {"ts": {"$timestamp": {"t": 5, "i": 1}}}})");
    EXPECT_THROW(play(), Error);
}

TEST_F(MongoReplay, ACollectionThatWasRenamedBeforeItWasReadIsFoundByItsUuid) {
    Collection captured;
    captured.name = {"shop", "new"};
    captured.type = "collection";
    captured.uuid = Bytes(16, 0);
    known_.push_back(captured);
    model_.documents["shop.new"][json(R"({"_id": 1})")] = json(R"({"_id": 1, "n": 1})");
    entry("i", "shop.new", R"({"_id": 8})", "{" + uuid_b + "}");  // of one that had the name before
    entry("c", "shop.$cmd", R"({"drop": "new"})", "{" + uuid_b + "}");
    entry("i", "shop.old", R"({"_id": 2})", "{" + uuid_a + "}");
    entry("c", "shop.$cmd", R"({"renameCollection": "shop.old", "to": "shop.new", "dropTarget": true})",
          "{" + uuid_a + "}");
    entry("u", "shop.new", R"({"$v": 2, "diff": {"u": {"n": 3}}})", "{" + uuid_a + R"(, "o2": {"_id": 1}})");
    play();
    EXPECT_THAT(model_.of("shop.new"), ElementsAre(json(R"({"_id": 1, "n": 3})"), json(R"({"_id": 2})")));
    EXPECT_FALSE(model_.documents.contains("shop.old"));
}

TEST_F(MongoReplay, AJournalIsReadUpToTheMomentThatIsWanted) {
    for (int i = 0; i < 5; ++i)
        entry("i", "shop.a", fmt::format(R"({{"_id": {}}})", i),
              fmt::format(R"({{"wall": {{"$date": {{"$numberLong": "{}"}}}}}})", 1'000'000 + i));
    Bytes journal;
    for (const Bytes& each : log_) append(journal, each);
    Applier applier(model_, {});
    JournalReplay replay(applier,
                         {{{"rs0", (1000ULL << 32) + 1}, 0}, (1'000'000 + 3) * (one_second / 1000), std::nullopt});
    replay.begin_lane();
    EXPECT_TRUE(replay.feed(ByteView(journal).first(17)));
    replay.begin_lane();  // the unfinished record comes again whole
    bool wants_more = true;
    for (std::size_t at = 0; at < journal.size() && wants_more; ++at)
        wants_more = replay.feed(ByteView(journal).subspan(at, 1));
    EXPECT_FALSE(wants_more);
    const Replay::Summary summary = replay.finish();
    EXPECT_EQ(summary.records, 3U);
    EXPECT_EQ(summary.reached.position.at, (1000ULL << 32) + 4);
    EXPECT_EQ(model_.of("shop.a").size(), 3U);
}

TEST(MongoHistory, TellsOfDropsAndManyDeletes) {
    Bytes journal;
    auto add = [&, n = 0U](std::string_view op, std::string_view ns, const Bytes& o) mutable {
        append(journal,
               Builder().text("op", op).text("ns", ns).timestamp("ts", (1000ULL << 32) + ++n).document("o", o).done());
    };
    for (int i = 0; i < 120; ++i) add("d", "shop.a", Builder().i32("_id", i).done());
    for (int i = 0; i < 20; ++i) add("d", "shop.b", Builder().i32("_id", i).done());
    add("c", "shop.$cmd", command("drop", "a"));
    add("c", "shop.$cmd", command("dropDatabase", 1));
    std::vector<std::string> seen;
    Stop stop;
    World world{system_clock(), system_random(), stop, stderr_log(Level::error)};
    const auto replay = history({world, [&](const HistoryEvent& each) {
                                     seen.push_back(fmt::format("{} {} {}", each.what, each.item, each.count));
                                 }});
    replay->begin_lane();
    replay->feed(journal);
    replay->finish();
    EXPECT_THAT(seen, ElementsAre("delete shop/a 120", "drop shop/a 0", "drop shop 0"));
}

}  // namespace
}  // namespace holdfast::mongodb
