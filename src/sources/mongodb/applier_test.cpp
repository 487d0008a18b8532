#include "sources/mongodb/applier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/error.h"
#include "sources/mongodb/diff.h"
#include "sources/mongodb/journal_replay.h"
#include "sources/mongodb/replay_model.h"

namespace holdfast::mongodb {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string json(const std::string& relaxed) { return to_json(from_json(relaxed)); }

class MongoReplay : public ::testing::Test {
protected:
    ReplayModel model_;
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
    // As a journal behind a base that holds what the model does.
    std::string play_counted(
        const std::string& collection, const std::function<void()>& meanwhile = [] {}) {
        OrderFreeSum sum;
        for (const std::string& each : model_.of(collection)) sum.add(from_json(each));
        const Namespace name = split_namespace(collection);
        Facts captured;
        captured.list = {{item_path(name), "documents", std::to_string(sum.count())},
                         {item_path(name), "about content", sum.hex()}};
        Tally tally;
        tally.begin(name, captured);
        meanwhile();
        Applier applier(model_, known_, &tally);
        applier.pass_base();
        for (const Bytes& each : log_) applier.apply(parse_entry(each));
        applier.flush();
        OrderFreeSum found;
        for (const std::string& each : model_.of(collection)) found.add(from_json(each));
        std::string out;
        for (const Fact& fact : tally.facts(name)) {
            const std::string measured = fact.name == "documents" ? std::to_string(found.count()) : found.hex();
            const bool is_known = !fact.name.starts_with("about ");
            out += !is_known ? fact.name + ": " + fact.value + "; " : fact.value == measured ? "same " : "differs ";
        }
        return out;
    }
    void play() {
        Applier applier(model_, known_);
        for (const Bytes& each : log_) applier.apply(parse_entry(each));
        applier.flush();
    }
};

class MongoTally : public MongoReplay {
protected:
    void SetUp() override {
        for (int i = 1; i <= 6; ++i) put(i);
        entry("i", "shop.a", R"({"_id": 9})");
        entry("d", "shop.a", R"({"_id": 1})");
        entry("u", "shop.a", R"({"_id": 2, "whole": true})", R"({"o2": {"_id": 2}})");
        entry("u", "shop.a", R"({"$v": 2, "diff": {"u": {"n": 7}}})", R"({"o2": {"_id": 3}})");
    }
    void put(int id, int n = 0) {
        model_.documents["shop.a"][json(fmt::format(R"({{"_id": {}}})", id))] =
            json(fmt::format(R"({{"_id": {}, "n": {}}})", id, n));
    }
    void lose(int id) { model_.documents["shop.a"].erase(json(fmt::format(R"({{"_id": {}}})", id))); }
};

TEST_F(MongoTally, CountsWhatAJournalMakesOfABase) { EXPECT_EQ(play_counted("shop.a"), "same same "); }

TEST_F(MongoTally, FindsWhatWasChangedLostOrAddedMeanwhile) {
    EXPECT_EQ(play_counted("shop.a", [&] { put(5, 1); }), "same differs ");
}
TEST_F(MongoTally, FindsWhatWasLost) {
    EXPECT_EQ(play_counted("shop.a", [&] { lose(5); }), "differs differs ");
}
TEST_F(MongoTally, FindsWhatWasAdded) {
    EXPECT_EQ(play_counted("shop.a", [&] { put(7); }), "differs differs ");
}
TEST_F(MongoTally, FindsWhatWasChangedBeforeTheJournalChangesIt) {
    EXPECT_EQ(play_counted("shop.a", [&] { put(3, 5); }), "same differs ");
}
TEST_F(MongoTally, FindsWhatWasChangedBeforeTheJournalRemovesIt) {
    EXPECT_EQ(play_counted("shop.a", [&] { put(1, 5); }), "same differs ");
}

TEST_F(MongoTally, DoesNotGuessWhatADocumentWasThatIsNotThere) {
    const std::string unknown = "about no content: a document that the journal changes was not at the target; ";
    EXPECT_EQ(play_counted("shop.a", [&] { lose(1); }), "same " + unknown);
}
TEST_F(MongoTally, CountsADocumentThatTheJournalUpdatesAndThatIsGone) {
    const std::string unknown = "about no content: a document that the journal changes was not at the target; ";
    EXPECT_EQ(play_counted("shop.a", [&] { lose(3); }), "differs " + unknown);
}

TEST_F(MongoTally, SaysWhatTheCaptureHasNotCounted) {
    Tally tally;
    Facts captured;
    captured.list = {{"shop/a", "about documents", "made while this was captured"}};
    tally.begin({"shop", "a"}, captured);
    for (const Fact& fact : tally.facts({"shop", "a"})) EXPECT_TRUE(is_about(fact)) << fact.name;
    for (const Fact& fact : tally.facts({"shop", "never heard of"})) EXPECT_TRUE(is_about(fact)) << fact.name;
}

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

TEST_F(MongoReplay, OfLargeDocumentsFewAreInMemoryAtOnce) {
    constexpr std::size_t count = 40, document_bytes = 1024 * 1024;
    constexpr std::size_t bound = 10UL * 1024 * 1024;
    for (std::size_t i = 0; i < count; ++i) {
        const Bytes id = Builder().i32("_id", static_cast<std::int32_t>(i)).done();
        model_.documents["shop.a"][to_json(id)] =
            fmt::format(R"({{"_id": {}, "n": 0, "text": "{}"}})", i, std::string(document_bytes, 'x'));
        entry("u", "shop.a", R"({"$v": 2, "diff": {"u": {"n": 1}}})", fmt::format(R"({{"o2": {{"_id": {}}}}})", i));
    }
    play();
    EXPECT_LT(model_.held_bytes_most, bound);
    EXPECT_GE(model_.writes, count * document_bytes / bound);
    EXPECT_EQ(model_.of("shop.a").size(), count);
    for (const std::string& each : model_.of("shop.a")) {
        const Bytes document = from_json(each);
        EXPECT_EQ(number_of(document, "n"), 1);
        EXPECT_EQ(text_of(document, "text").size(), document_bytes);
    }
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
    EXPECT_THAT(model_.indexes["shop.c"], ElementsAre("x", "z"));
    EXPECT_EQ(model_.commands[0], "create shop.a " + json(R"({"capped": true, "size": 9})"));
    EXPECT_THAT(model_.commands, Contains(AllOf(HasSubstr("collMod"), HasSubstr("validator"))));
}

TEST_F(MongoReplay, AnIndexThatWasBeingBuiltIsThereWhenItIsDoneAndNotWhenItWasAborted) {
    entry("c", "shop.$cmd", R"({"create": "a"})");
    entry("c", "shop.$cmd", R"({"startIndexBuild": "a", "indexes": [{"name": "x"}, {"name": "y"}]})");
    play();
    EXPECT_THAT(model_.indexes["shop.a"], IsEmpty());
    model_.indexes["shop.a"] = {"of the base", "y"};
    entry("c", "shop.$cmd", R"({"abortIndexBuild": "a", "indexes": [{"name": "y"}], "cause": {"code": 11000}})");
    entry("c", "shop.$cmd", R"({"commitIndexBuild": "a", "indexes": [{"name": "x"}]})");
    play();
    EXPECT_THAT(model_.indexes["shop.a"], ElementsAre("of the base", "x"));
}

TEST_F(MongoReplay, AnUnknownKindOrCommandStopsBeforeAnythingBehindItIsApplied) {
    const auto stops = [&](const std::string& said) {
        entry("i", "shop.b", R"({"_id": "behind"})");
        try {
            play();
            ADD_FAILURE() << "it went on behind: " << said;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::corrupt);
            EXPECT_THAT(error.message(), HasSubstr(said));
        }
        EXPECT_TRUE(model_.of("shop.b").empty()) << said;
        log_.clear();
    };
    entry("zz", "shop.a", R"({"_id": 1})");
    stops("of the kind `zz`");
    entry("c", "shop.$cmd", R"({"inventSomething": "a"})");
    stops("the command `inventSomething`");
    entry("u", "shop.a", R"({"$v": 3, "diff": {}})", R"({"o2": {"_id": 1}})");
    stops("has the version `3`");
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

TEST_F(MongoReplay, ViewsAreMadeChangedAndDroppedWhereverTheBaseWasTaken) {
    entry("c", "shop.$cmd", R"({"create": "system.views", "idIndex": {"v": 2}})", "{" + uuid_a + "}");
    const auto mark = log_.size();
    entry("i", "shop.system.views", R"({"_id": "shop.paid", "viewOn": "a", "pipeline": [1]})", "{" + uuid_a + "}");
    entry("u", "shop.system.views", R"({"$v": 2, "diff": {"u": {"pipeline": [2]}}})",
          "{" + uuid_a + R"(, "o2": {"_id": "shop.paid"}})");
    play();
    const std::string second = json(R"({"viewOn": "a", "pipeline": [2]})");
    EXPECT_EQ(model_.views["shop.paid"], second);
    entry("u", "shop.system.views", R"({"_id": "shop.paid", "viewOn": "b", "pipeline": []})",
          "{" + uuid_a + R"(, "o2": {"_id": "shop.paid"}})");
    entry("i", "shop.system.views", R"({"_id": "other.paid", "viewOn": "a", "pipeline": []})");
    const std::string third = json(R"({"viewOn": "b", "pipeline": []})");
    model_.views.clear();
    play();
    EXPECT_EQ(model_.views["shop.paid"], third);
    EXPECT_EQ(model_.views.size(), 1U);

    // The base has it as it was in between, or in the end.
    Collection view;
    view.name = {"shop", "paid"};
    view.type = "view";
    for (const std::string& base : {second, third}) {
        view.options = from_json(base);
        known_ = {view};
        model_.views = {{"shop.paid", base}};
        play();
        EXPECT_EQ(model_.views["shop.paid"], third);
    }
    // A diff of one that the base has not: it is dropped further on.
    known_.clear();
    model_.views.clear();
    log_.erase(log_.begin(), log_.begin() + static_cast<std::ptrdiff_t>(mark) + 1);
    log_.resize(1);
    play();
    EXPECT_THAT(model_.views, IsEmpty());

    for (const bool has_it : {true, false}) {
        log_.clear();
        entry("d", "shop.system.views", R"({"_id": "shop.paid"})", "{" + uuid_a + "}");
        known_.clear();
        if (has_it) known_.push_back(view);
        model_.views.clear();
        if (has_it) model_.views["shop.paid"] = third;
        play();
        EXPECT_THAT(model_.views, IsEmpty());
    }
    known_ = {view};
    model_.views["shop.paid"] = third;
    log_.clear();
    entry("c", "shop.$cmd", R"({"drop": "system.views"})", "{" + uuid_a + "}");
    play();
    EXPECT_THAT(model_.views, IsEmpty());
}

TEST_F(MongoReplay, AViewAndACollectionOfOneNameAreToldApart) {
    // The base has the later one; the log begins with the earlier one.
    Collection later;
    later.name = {"shop", "x"};
    later.type = "collection";
    later.uuid = Bytes(16, 0);
    known_ = {later};
    model_.documents["shop.x"][json(R"({"_id": 1})")] = json(R"({"_id": 1})");
    entry("i", "shop.system.views", R"({"_id": "shop.x", "viewOn": "a", "pipeline": []})");
    entry("d", "shop.system.views", R"({"_id": "shop.x"})");
    entry("c", "shop.$cmd", R"({"create": "x"})", "{" + uuid_a + "}");
    entry("i", "shop.x", R"({"_id": 1})", "{" + uuid_a + "}");
    play();
    EXPECT_EQ(model_.of("shop.x").size(), 1U);
    EXPECT_THAT(model_.views, IsEmpty());

    later.type = "view";
    later.uuid.clear();
    later.options = from_json(R"({"viewOn": "a", "pipeline": []})");
    known_ = {later};
    model_.documents.clear();
    model_.views = {{"shop.x", to_json(later.options)}};
    log_.clear();
    entry("c", "shop.$cmd", R"({"create": "x"})", "{" + uuid_b + "}");
    entry("i", "shop.x", R"({"_id": 1})", "{" + uuid_b + "}");
    entry("c", "shop.$cmd", R"({"drop": "x"})", "{" + uuid_b + "}");
    entry("i", "shop.system.views", R"({"_id": "shop.x", "viewOn": "a", "pipeline": []})");
    play();
    EXPECT_FALSE(model_.documents.contains("shop.x"));
    EXPECT_EQ(model_.views["shop.x"], to_json(later.options));
}

TEST_F(MongoReplay, TimeSeriesGoByTheNameThatUsersSee) {
    const std::string timeseries =
        R"("timeseries": {"timeField": "at", "metaField": "from", "granularity": "seconds"})";
    entry("c", "shop.$cmd",
          R"({"create": "system.buckets.p", "validator": {"x": 1}, "clusteredIndex": true, "expireAfterSeconds": 9, )" +
              timeseries + "}",
          "{" + uuid_b + "}");
    entry("i", "shop.system.views", R"({"_id": "shop.p", "viewOn": "system.buckets.p", "pipeline": []})");
    entry("i", "shop.system.buckets.p", R"({"_id": 1, "data": {}})", "{" + uuid_b + "}");
    entry("c", "shop.$cmd",
          R"({"createIndexes": "system.buckets.p", "v": 2, "name": "i",
              "key": {"meta.x": 1, "control.min.at": 1, "control.max.at": 1, "control.max.t": -1, "control.min.t": -1}})",
          "{" + uuid_b + "}");
    entry("c", "shop.$cmd", R"({"collMod": "system.buckets.p", "expireAfterSeconds": 8, "validator": {}})",
          "{" + uuid_b + "}");
    const auto expect_it = [&] {
        EXPECT_EQ(model_.time_series["shop.p"], json(R"({"expireAfterSeconds": 9, )" + timeseries + "}"));
        EXPECT_THAT(model_.of("shop.p"), ElementsAre(json(R"({"_id": 1, "data": {}})")));
        EXPECT_THAT(model_.views, IsEmpty());
        EXPECT_EQ(model_.documents.size(), 1U);
    };
    play();
    expect_it();
    EXPECT_THAT(model_.commands, Contains(HasSubstr(R"("key" : )" + json(R"({"from.x": 1, "at": 1, "t": -1})"))));
    EXPECT_THAT(model_.commands,
                Contains(AllOf(HasSubstr("collMod"), HasSubstr(R"("8")"), Not(HasSubstr("validator")))));
    play();
    expect_it();
    // The base has it; lists say no UUID of its buckets.
    Collection known;
    known.name = {"shop", "p"};
    known.type = "timeseries";
    known.options = from_json("{" + timeseries + "}");
    known_ = {known};
    play();
    expect_it();
    entry("c", "shop.$cmd", R"({"drop": "system.buckets.p"})", "{" + uuid_b + "}");
    entry("d", "shop.system.views", R"({"_id": "shop.p"})");
    play();
    EXPECT_FALSE(model_.documents.contains("shop.p"));
    EXPECT_THAT(model_.time_series, IsEmpty());
}

TEST_F(MongoReplay, ACappedCollectionIsEmptied) {
    entry("c", "shop.$cmd", R"({"create": "log", "capped": true, "size": 9})");
    entry("i", "shop.log", R"({"_id": 1})");
    entry("c", "shop.$cmd", R"({"emptycapped": "log"})");
    entry("i", "shop.log", R"({"_id": 2})");
    play();
    EXPECT_THAT(model_.of("shop.log"), ElementsAre(json(R"({"_id": 2})")));
    play();
    EXPECT_THAT(model_.of("shop.log"), ElementsAre(json(R"({"_id": 2})")));
}

TEST_F(MongoReplay, WhatLeavesWhatIsRestoredGoesAndWhatComesInIsRefused) {
    model_.wants = [](const Namespace& name) { return name.collection == "a"; };
    entry("i", "shop.a", R"({"_id": 1})");
    entry("c", "shop.$cmd", R"({"renameCollection": "shop.a", "to": "shop.b"})");
    model_.documents["shop.b"]["mine"] = "not of the restore";
    play();
    EXPECT_FALSE(model_.documents.contains("shop.a"));
    EXPECT_THAT(model_.of("shop.b"), ElementsAre("not of the restore"));
    entry("c", "shop.$cmd", R"({"renameCollection": "shop.c", "to": "shop.a"})");
    EXPECT_THROW(play(), Error);
}

TEST_F(MongoReplay, ALargeTransactionDoesNotNeedMemory) {
    const std::string session = R"("lsid": {"id": 1}, "txnNumber": {"$numberLong": "4"})";
    const std::string text(700'000, 'x');
    constexpr int parts = 60;  // 42 MB
    for (int i = 0; i < parts; ++i)
        entry(
            "c", "admin.$cmd",
            fmt::format(
                R"({{"applyOps": [{{"op": "i", "ns": "shop.a", "o": {{"_id": {}, "t": "{}"}}}}], "partialTxn": true}})",
                i, text),
            "{" + session + "}");
    play();
    EXPECT_THAT(model_.of("shop.a"), IsEmpty());
    entry("c", "admin.$cmd", R"({"applyOps": []})",
          "{" + session + R"(, "prevOpTime": {"ts": {"$timestamp": {"t": 5, "i": 1}}}})");
    play();
    EXPECT_EQ(model_.of("shop.a").size(), parts);
    EXPECT_GT(model_.writes, 1U);
}

TEST_F(MongoReplay, ATransactionThatBeganBeforeTheBaseIsWhole) {
    const std::string session = R"("lsid": {"id": 1}, "txnNumber": {"$numberLong": "4"})";
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 1}}], "partialTxn": true})",
          "{" + session + "}");
    entry("i", "shop.a", R"({"_id": 5})");
    entry("c", "admin.$cmd", R"({"applyOps": [{"op": "i", "ns": "shop.a", "o": {"_id": 2}}]})",
          "{" + session + R"(, "prevOpTime": {"ts": {"$timestamp": {"t": 5, "i": 1}}}})");
    Bytes journal;
    for (const Bytes& each : log_) append(journal, each);
    Applier applier(model_, {});
    JournalReplay replay(applier, {{{"rs0", (1000ULL << 32) + 2}, 0}, std::nullopt, std::nullopt});
    replay.begin_lane();
    EXPECT_TRUE(replay.feed(journal));
    EXPECT_EQ(replay.finish().records, 1U);
    EXPECT_EQ(model_.of("shop.a").size(), 2U);
}

TEST_F(MongoReplay, CollectionsAreWrittenAtTheSameTime) {
    std::mutex mutex;
    std::condition_variable changed;
    std::set<std::string> begun;
    bool met = true;
    model_.before_write = [&](const Namespace& name) {
        std::unique_lock lock(mutex);
        begun.insert(name.text());
        changed.notify_all();
        constexpr std::chrono::seconds patience{60};
        met = changed.wait_for(lock, patience, [&] { return begun.size() == 2; }) && met;
    };
    entry("i", "shop.a", R"({"_id": 1})");
    entry("i", "shop.b", R"({"_id": 1})");
    play();
    EXPECT_TRUE(met);
}

TEST_F(MongoReplay, DocumentsOfOneCollectionAreWrittenAtTheSameTimeAndInOrderAroundCommands) {
    constexpr int count = 5000;
    std::mutex mutex;
    std::condition_variable changed;
    int inside = 0;
    bool met = false, is_in_order = true;
    std::map<std::string, int> writes;
    model_.before_write = [&](const Namespace& name) {
        std::unique_lock lock(mutex);
        ++writes[name.text()];
        if (name.text() == "shop.b" && writes["shop.a"] != 3) is_in_order = false;
        if (++inside == 2) met = true;
        changed.notify_all();
        constexpr std::chrono::seconds patience{60};
        changed.wait_for(lock, patience, [&] { return met; });
        --inside;
    };
    const auto each = [&](auto work) {
        for (int id = 0; id < count; ++id) work(id, fmt::format(R"({{"_id": {}}})", id));
    };
    each([&](int id, const std::string& key) {
        if (id % 3 != 0) return;  // of the base
        model_.documents["shop.a"][json(key)] = json(fmt::format(R"({{"_id": {}, "n": 0}})", id));
    });
    const auto update = [&](const std::string& ns, const std::string& key, int n) {
        entry("u", ns, fmt::format(R"({{"$v": 2, "diff": {{"u": {{"n": {}}}}}}})", n),
              fmt::format(R"({{"o2": {}}})", key));
    };
    each([&](int id, const std::string& key) {
        if (id % 3 != 0) entry("i", "shop.a", fmt::format(R"({{"_id": {}, "n": 0}})", id));
        update("shop.a", key, 1);
        if (id % 7 == 0) entry("d", "shop.a", key);
        if (id % 14 == 0) entry("i", "shop.a", fmt::format(R"({{"_id": {}, "again": true, "n": 5}})", id));
    });
    entry("c", "shop.$cmd", R"({"renameCollection": "shop.a", "to": "shop.b"})");
    each([&](int id, const std::string& key) {
        if (id % 5 == 0 && (id % 7 != 0 || id % 14 == 0)) update("shop.b", key, 2);
    });
    play();

    std::map<std::string, std::string> expected;
    each([&](int id, const std::string& key) {
        if (id % 7 == 0 && id % 14 != 0) return;
        const int n = id % 5 == 0 ? 2 : id % 14 == 0 ? 5 : 1;
        const std::string again = id % 14 == 0 ? R"("again": true, )" : "";
        expected[json(key)] = json(fmt::format(R"({{"_id": {}, {}"n": {}}})", id, again, n));
    });
    EXPECT_TRUE(model_.documents["shop.b"] == expected);
    EXPECT_TRUE(met) << "no two writes of a collection were under way at once";
    EXPECT_TRUE(is_in_order) << "what is behind a command was written before it";
    EXPECT_EQ(writes, (std::map<std::string, int>{{"shop.a", 3}, {"shop.b", 1}}));
}

// "WHAT ITEM COUNT" of each event.
std::vector<std::string> told_of(const Bytes& journal) {
    std::vector<std::string> seen;
    Stop stop;
    World world{system_clock(), system_random(), stop, stderr_log(Level::error)};
    const auto replay = history({world, [&](const HistoryEvent& each) {
                                     seen.push_back(fmt::format("{} {} {}", each.what, each.item, each.count));
                                 }});
    replay->begin_lane();
    replay->feed(journal);
    replay->finish();
    return seen;
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
    EXPECT_THAT(told_of(journal), ElementsAre("delete shop/a 120", "drop shop/a 0", "drop shop 0"));
}

TEST(MongoHistory, TellsOfManyDeletesBetweenTheWritesOfOthers) {
    Bytes journal;
    unsigned n = 0;
    auto add = [&](std::string_view op, std::string_view ns, const Bytes& o, std::int64_t milliseconds) {
        Bytes wall;
        ByteWriter(wall).u64(static_cast<std::uint64_t>(1'700'000'000'000 + milliseconds));
        Builder entry;
        entry.text("op", op).text("ns", ns).timestamp("ts", (1000ULL << 32) + ++n).value("wall", BsonType::date, wall);
        append(journal, entry.document("o", o).done());
    };
    for (int i = 0; i < 120; ++i) {
        const Bytes id = Builder().i32("_id", i).done();
        add("i", "shop.log", id, i);
        add("d", "shop.a", id, i);
        add("u", "shop.b", id, i);
        add("d", "shop.b", id, i);
    }
    for (int i = 1; i <= 120; ++i) add("d", "shop.few", Builder().i32("_id", i).done(), 2000LL * i);
    add("c", "shop.$cmd",
        Builder().text("renameCollection", "shop.a").text("to", "shop.b").boolean("dropTarget", true).done(), 300'000);
    add("c", "shop.$cmd",
        Builder().text("renameCollection", "shop.c").text("to", "shop.d").boolean("dropTarget", false).done(), 300'000);
    EXPECT_THAT(told_of(journal), ElementsAre("delete shop/a 120", "delete shop/b 120", "drop shop/b 0"));
}

}  // namespace
}  // namespace holdfast::mongodb
