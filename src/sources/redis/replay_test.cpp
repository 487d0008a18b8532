#include "sources/redis/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sources/redis/commands.h"
#include "sources/redis/journal_form.h"
#include "testing/sim_world.h"

namespace holdfast::redis {
namespace {

using ::testing::HasSubstr;

std::string command(const std::vector<std::string>& words) {
    std::string out = fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words) out += fmt::format("${}\r\n{}\r\n", word.size(), word);
    return out;
}

// A journal as the follower makes it; each stretch is a second later than the one before.
class Journal {
public:
    explicit Journal(std::uint64_t at) : at_(at) { append_line(bytes, "line"); }
    void stretch(const std::string& commands, std::uint32_t database = 0) {
        append_stretch(bytes, {at_, at_ + commands.size(), database, ++seconds_ * one_second});
        append(bytes, as_bytes(commands));
        at_ += commands.size();
    }
    std::uint64_t at() const { return at_; }
    Bytes bytes;

private:
    std::uint64_t at_;
    Nanoseconds seconds_ = 0;
};

struct Outcome {
    std::string written;
    Replay::Summary summary;
};

Outcome replay(const Journal& journal, ReplayRequest request, std::size_t piece = 1 << 20,
               std::uint32_t database = StreamState::unknown_database) {
    Outcome out;
    const auto replay = replay_into_file(request, database, [&](ByteView bytes) { out.written += as_text(bytes); });
    replay->begin_lane();
    ByteView left = journal.bytes;
    while (!left.empty()) {
        const std::size_t some = std::min(piece, left.size());
        if (!replay->feed(left.first(some))) break;
        left = left.subspan(some);
    }
    out.summary = replay->finish();
    return out;
}

const std::string select0 = command({"SELECT", "0"});
const std::string a = command({"SET", "a", "1"});
const std::string b = command({"SET", "b", "with\r\n*1\r\n$4\r\nPING\r\n in it"});

TEST(Replay, EndsAtTheInstant) {
    Journal journal(100);
    journal.stretch(select0 + a, StreamState::unknown_database);
    journal.stretch(b);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
        const auto whole = replay(journal, {.from = {{"line", 100}, 0}, .until = {}, .until_before = {}}, piece);
        EXPECT_EQ(whole.written, select0 + a + b);
        EXPECT_EQ(whole.summary.reached.position.at, journal.at());
        const auto part = replay(journal, {.from = {{"line", 100}, 0}, .until = one_second, .until_before = {}}, piece);
        EXPECT_EQ(part.written, select0 + a);
        EXPECT_EQ(part.summary.reached.position.at, 100 + select0.size() + a.size());
    }
}

TEST(Replay, IsCutBeforeAPositionAndNeverInATransaction) {
    Journal journal(0);
    const std::string multi = command({"MULTI"}), exec = command({"EXEC"}), flush = command({"flushall"});
    journal.stretch(select0 + a + multi + b + flush + exec, StreamState::unknown_database);
    const std::uint64_t flushed = journal.at() - exec.size();
    const auto cut =
        replay(journal, {.from = {{"line", 0}, 0}, .until = {}, .until_before = Position{"line", flushed}});
    EXPECT_EQ(cut.written, select0 + a);
}

TEST(Replay, PassesOverWhatTheBaseHasAndKnowsTheDatabase) {
    Journal journal(0);
    journal.stretch(command({"SELECT", "3"}) + a, StreamState::unknown_database);
    journal.stretch(b + command({"PING"}) + command({"REPLCONF", "GETACK", "*"}) + a, 3);
    const std::uint64_t from = journal.at() - a.size();
    const auto out = replay(journal, {.from = {{"line", from}, 0}, .until = {}, .until_before = {}});
    EXPECT_EQ(out.written, command({"SELECT", "3"}) + a);
    EXPECT_EQ(out.summary.records, 1U);
}

// As the stream of a replica, whose master had said SELECT long before.
TEST(Replay, GoesOnInTheDatabaseOfTheBaseOrNotAtAll) {
    Journal journal(100);
    journal.stretch(a, StreamState::unknown_database);
    journal.stretch(b, StreamState::unknown_database);
    const ReplayRequest request{.from = {{"line", 100}, 0}, .until = {}, .until_before = {}};
    EXPECT_EQ(replay(journal, request, 7, 3).written, command({"SELECT", "3"}) + a + b);
    EXPECT_THROW(replay(journal, request), Error);
    // What the base has says it, too.
    const ReplayRequest later{.from = {{"line", 100 + a.size()}, 0}, .until = {}, .until_before = {}};
    Journal before(100);
    before.stretch(a, 5);
    before.stretch(b, StreamState::unknown_database);
    EXPECT_EQ(replay(before, later).written, command({"SELECT", "5"}) + b);
}

TEST(Replay, AStretchMaySaySoItself) {
    const std::string select = command({"SELECT", "3"}), multi = command({"MULTI"}), exec = command({"EXEC"});
    for (const std::string& commands : {select + a, "#TS:1700000000\r\n" + select + a, multi + select + a + exec,
                                        multi + "#TS:1\r\n" + select + exec}) {
        Journal journal(0);
        journal.stretch(commands, StreamState::unknown_database);
        EXPECT_EQ(replay(journal, {.from = {{"line", 0}, 0}, .until = {}, .until_before = {}}).written, commands);
    }
}

TEST(Replay, SaysWhenTheInstantIsInAPause) {
    Journal journal(0);
    journal.stretch(select0 + a, StreamState::unknown_database);  // at 1 s
    append_dark(journal.bytes, one_second);
    journal.stretch(b);  // at 2 s
    journal.stretch(a);  // at 3 s
    const auto undated = [&](Nanoseconds until, std::size_t piece) {
        std::string out;
        const auto replay = replay_into_file(
            {.from = {{"line", 0}, 0}, .until = until, .until_before = {}}, 0, [](ByteView) {},
            [&](Nanoseconds from, Nanoseconds to) { out = fmt::format("{} {}", from / one_second, to / one_second); });
        replay->begin_lane();
        for (ByteView left = journal.bytes; !left.empty(); left = left.subspan(std::min(piece, left.size())))
            if (!replay->feed(left.first(std::min(piece, left.size())))) break;
        return out;
    };
    for (const std::size_t piece : {std::size_t{1}, std::size_t{1} << 20}) {
        EXPECT_EQ(undated(one_second, piece), "");
        EXPECT_EQ(undated(one_second * 3 / 2, piece), "1 2");
        EXPECT_EQ(undated(2 * one_second, piece), "");
        EXPECT_EQ(undated(one_second * 5 / 2, piece), "");
    }
}

TEST(Replay, AGapIsRefused) {
    Journal journal(50);
    journal.stretch(select0 + a, StreamState::unknown_database);
    EXPECT_THROW(replay(journal, {.from = {{"line", 40}, 0}, .until = {}, .until_before = {}}), Error);
}

TEST(Replay, AnUnfinishedStretchOfAnotherProcessComesAgain) {
    Journal first(0), second(0);
    first.stretch(select0 + a, StreamState::unknown_database);
    second.stretch(select0 + b, StreamState::unknown_database);
    std::string written;
    const auto replay = replay_into_file({.from = {{"line", 0}, 0}, .until = {}, .until_before = {}}, 0,
                                         [&](ByteView bytes) { written += as_text(bytes); });
    replay->begin_lane();
    replay->feed(ByteView(first.bytes).first(first.bytes.size() - 3));
    replay->begin_lane();
    replay->feed(second.bytes);
    EXPECT_EQ(written, select0 + b);
}

TEST(History, FindsWhatDestroysMuch) {
    Journal journal(0);
    std::vector<std::string> keys{"DEL"};
    for (int i = 0; i < 150; ++i) keys.push_back(std::to_string(i));
    journal.stretch(command({"SELECT", "2"}) + command(keys), StreamState::unknown_database);
    journal.stretch(command({"DEL", "one"}), 2);
    journal.stretch(command({"FLUSHDB"}), 2);
    std::vector<std::string> found;
    SimWorld simulated(1);
    const auto look = history({simulated.world(), [&](const HistoryEvent& event) {
                                   found.push_back(fmt::format("{} {} {}", event.what, event.item, event.count));
                               }});
    for (int lane = 0; lane < 2; ++lane) {  // what both have counts once
        look->begin_lane();
        look->feed(journal.bytes);
    }
    look->finish();
    EXPECT_THAT(found, ::testing::ElementsAre("delete 2 151", "truncate 2 0"));
}

TEST(Commands, AreFoundInAnyPieces) {
    const std::string stream = a + b + command({"del", "x"});
    for (std::size_t piece = 1; piece < stream.size(); ++piece) {
        CommandScanner scanner;
        std::vector<std::string> names;
        for (std::size_t at = 0; at < stream.size(); at += piece)
            scanner.feed(as_bytes(std::string_view(stream).substr(at, piece)),
                         [&](const Command& each, std::size_t) { names.push_back(each.name); });
        EXPECT_THAT(names, ::testing::ElementsAre("SET", "SET", "DEL"));
        EXPECT_TRUE(scanner.is_between());
    }
    CommandScanner scanner;
    EXPECT_THROW(scanner.feed(as_bytes("nonsense\r\n"), [](const Command&, std::size_t) {}), Error);
}

}  // namespace
}  // namespace holdfast::redis
