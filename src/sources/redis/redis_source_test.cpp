#include "sources/redis/redis_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "sources/redis/key_target.h"
#include "testing/redis_server.h"

namespace holdfast::redis {
namespace {

using holdfast::testing::redis_command;
using holdfast::testing::RedisServer;

class RedisSourceTest : public ::testing::Test {
protected:
    RedisSourceTest() { ::setenv("XDG_STATE_HOME", state_.path().c_str(), 1); }

    std::unique_ptr<Source> source(const std::string& url) {
        return redis_source_type.make("test", {{"argument", {url}}});
    }

    struct Taken {
        std::vector<std::pair<Item, Bytes>> items;
        CaptureSummary summary;
    };
    Taken take(Capture& capture) {
        Taken out;
        std::map<std::string, Bytes> ahead;
        Batch batch;
        while (capture.next(batch))
            for (const Batch::Entry& entry : batch.entries) {
                Bytes bytes;
                if (auto known = ahead.extract(entry.item.path)) {
                    bytes = std::move(known.mapped());
                } else if (entry.item.kind == ItemKind::file) {
                    const auto data = capture.open(batch, entry).data;
                    Bytes buffer(1000);
                    while (const std::size_t got = data->read(buffer).bytes) append(bytes, ByteView(buffer).first(got));
                }
                if (batch.is_ahead)
                    ahead.emplace(entry.item.path, std::move(bytes));
                else
                    out.items.emplace_back(entry.item, std::move(bytes));
            }
        out.summary = capture.finish();
        return out;
    }

    std::unique_ptr<Rebuild> restore(const Taken& taken, const std::string& target,
                                     std::optional<Nanoseconds> until = {}) {
        SourceOptions options;
        if (until) options["until"] = {std::to_string(*until)};
        auto rebuild = redis_source_type.rebuild({.world = world_,
                                                  .target = target,
                                                  .sync = false,
                                                  .snapshot_id = "s",
                                                  .strip = "",
                                                  .options = std::move(options),
                                                  .facts = taken.summary.facts});
        for (const auto& [item, bytes] : taken.items) {
            const Rebuild::Ticket ticket = rebuild->begin_item(item);
            if (!ticket.wants_content) continue;
            for (std::size_t at = 0; at < bytes.size(); at += 777)
                rebuild->write(ticket, at, ByteView(bytes).subspan(at, std::min<std::size_t>(777, bytes.size() - at)));
            rebuild->end_item(ticket);
        }
        return rebuild;
    }

    TemporaryFolder state_;
    TemporaryFolder folder_;
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
};

TEST_F(RedisSourceTest, CapturesAndRestoresAndMeasuresTheSame) {
    const RedisServer server;
    std::string commands;
    for (int i = 0; i < 5000; ++i)
        commands +=
            redis_command({"SET", "key:" + std::to_string(i), std::string(static_cast<std::size_t>(i % 300), 'x')});
    commands += redis_command({"SET", "large", std::string(3 << 20, 'y')});
    commands += redis_command({"SELECT", "12"}) + redis_command({"HSET", "h", "a", "1"});
    server.send(commands);
    for (int turn = 0; turn < 3; ++turn) {
        const Taken taken = take(*source(server.url())->begin({world_}));
        const std::string target = folder_.path() + "/data" + std::to_string(turn);
        restore(taken, target)->finish();
        const RedisServer again({"--appendonly", "yes"}, target);
        EXPECT_EQ(again.digest(), server.digest()) << turn;
        const Facts found = redis_source_type.measure({world_, again.url(), *taken.summary.facts, {}});
        for (const CheckLine& line : compare_facts(*taken.summary.facts, found, {}))
            EXPECT_EQ(line.result, CheckLine::Result::pass) << line.name << " " << line.expected << " " << line.found;
        server.send(redis_command({"SET", "turn", std::to_string(turn)}) + redis_command({"DEL", "key:1"}));
    }
}

TEST_F(RedisSourceTest, EveryInstantComesBackAsItWas) {
    const RedisServer server;
    server.send(redis_command({"SET", "base", "1"}));
    const auto followed = source(server.url());
    auto follower = followed->follow({world_, {}, false});
    EXPECT_FALSE(follower->start().continues);
    Taken base;
    {
        const auto capture = follower->base();
        ASSERT_NE(capture, nullptr);
        base = take(*capture);
    }
    // Digests of the server at instants between which it stood still.
    struct Instant {
        Nanoseconds time;
        std::string digest;
    };
    std::vector<Instant> instants;
    struct Lane {
        std::vector<Bytes> pieces;
    };
    std::vector<Lane> lanes(1);
    Moment last = follower->start().at;
    const auto drain = [&](Nanoseconds until) {
        while (last.time < until) {
            JournalPiece piece;
            const auto came = follower->read(piece, one_second);
            ASSERT_TRUE(came == Follower::Came::piece || came == Follower::Came::idle);
            if (came == Follower::Came::idle) continue;
            lanes.back().pieces.push_back(piece.bytes);
            last = piece.last;
            if (!piece.ends_within_record) follower->durable(last.position);
        }
    };
    std::mt19937 random(3);
    for (int turn = 0; turn < 8; ++turn) {
        std::string commands;
        for (int i = 0; i < 300; ++i) {
            const std::string key = "k" + std::to_string(random() % 100);
            switch (random() % 6) {
                case 0:
                    commands += redis_command({"SELECT", std::to_string(random() % 4)});
                    break;
                case 1:
                    commands += redis_command({"DEL", key});
                    break;
                case 2:
                    commands += redis_command({"MULTI"}) + redis_command({"INCR", "n" + key}) +
                                redis_command({"RPUSH", "l" + key, "x\r\n"}) + redis_command({"EXEC"});
                    break;
                default:
                    commands += redis_command({"SET", key, std::to_string(random())});
            }
        }
        server.send(commands);
        const std::string digest = server.digest();
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        instants.push_back({world_.clock.now(), digest});
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        if (turn == 3) {
            // Another process goes on where this one ended.
            drain(world_.clock.now());
            follower.reset();
            server.send(redis_command({"SET", "meanwhile", "1"}));
            follower = followed->follow({world_, last, false});
            ASSERT_TRUE(follower->start().continues) << follower->start().why_not;
            EXPECT_EQ(follower->base(), nullptr);
            lanes.emplace_back();
        }
    }
    drain(world_.clock.now());
    follower.reset();
    const auto play = [&](Replay& replay) {
        for (const Lane& lane : lanes) {
            replay.begin_lane();
            for (const Bytes& piece : lane.pieces)
                if (!replay.feed(piece)) return;
        }
    };
    int number = 0;
    for (const Instant& instant : instants) {
        const std::string target = folder_.path() + "/at" + std::to_string(++number);
        const auto rebuild = restore(base, target, instant.time);
        const auto replay = rebuild->replay({*base.summary.moment, instant.time, {}});
        ASSERT_NE(replay, nullptr);
        play(*replay);
        replay->finish();
        rebuild->finish();
        EXPECT_EQ(RedisServer({"--appendonly", "yes"}, target).digest(), instant.digest) << number;
        const RedisServer other;
        const auto into = restore(base, other.url(), instant.time);
        const auto by_commands = into->replay({*base.summary.moment, instant.time, {}});
        play(*by_commands);
        by_commands->finish();
        into->finish();
        EXPECT_EQ(other.digest(), instant.digest) << number;
    }
}

TEST_F(RedisSourceTest, AValueThatNoCommandCanHoldIsRefusedBeforeItIsSent) {
    const RedisServer server;
    const auto target = server_target({.world = world_, .target = server.url(), .snapshot_id = "s", .strip = ""});
    constexpr std::uint8_t list = 1;
    EXPECT_THROW(target->begin_key({0, "long", no_expiry, list}, 600ULL << 20), Error);
}

TEST_F(RedisSourceTest, OnceEndsWithWhatWasThere) {
    const RedisServer server;
    server.send(redis_command({"SET", "a", "1"}));
    const auto followed = source(server.url());
    Moment last;
    {
        const auto follower = followed->follow({world_, {}, true});
        take(*follower->base());
        last = follower->start().at;
        JournalPiece piece;
        Follower::Came came{};
        while ((came = follower->read(piece, one_second)) != Follower::Came::end) last = piece.last;
    }
    server.send(redis_command({"SET", "b", "1"}));
    const auto follower = followed->follow({world_, last, true});
    ASSERT_TRUE(follower->start().continues);
    std::string all;
    JournalPiece piece;
    while (follower->read(piece, one_second) != Follower::Came::end) all += as_text(piece.bytes);
    EXPECT_NE(all.find("SET"), std::string::npos);
    // A server that was started anew has another history.
    const RedisServer other;
    const auto anew = source(other.url())->follow({world_, last, true});
    EXPECT_FALSE(anew->start().continues);
    EXPECT_NE(anew->start().why_not, "");
}

// The machine's, until it is set.
class SetClock final : public Clock {
public:
    Nanoseconds now() const override { return system_clock().now() + ahead_; }
    Nanoseconds steady() const override { return system_clock().steady(); }
    void set(Nanoseconds by) { ahead_ += by; }

private:
    std::atomic<Nanoseconds> ahead_{0};
};

class ClockOfFollower : public RedisSourceTest, public ::testing::WithParamInterface<const char*> {
protected:
    std::unique_ptr<Source> followed() {
        return redis_source_type.make("test", {{"argument", {server_.url()}}, {"method", {GetParam()}}});
    }

    // What comes until a key of this name was read, or the window ends.
    struct Read {
        Follower::Came came{};
        std::vector<Moment> moments;
        std::vector<Pause> pauses;
    };
    Read read_until(Follower& follower, const std::string& key) {
        Read out;
        const Nanoseconds give_up = clock_.steady() + 30 * one_second;
        for (std::string bytes; clock_.steady() < give_up && bytes.find(key) == std::string::npos;) {
            JournalPiece piece;
            out.came = follower.read(piece, one_second);
            if (out.came == Follower::Came::broken) break;
            if (out.came == Follower::Came::idle) continue;
            bytes += as_text(piece.bytes);
            out.moments.push_back(piece.last);
            out.pauses.insert(out.pauses.end(), piece.pauses.begin(), piece.pauses.end());
        }
        return out;
    }
    void set(const std::string& key) { server_.send(redis_command({"SET", key, "x"})); }

    RedisServer server_{{"--appendonly", "yes"}};
    SetClock clock_;
    World set_world_{clock_, system_random(), stop_, stderr_log(Level::error)};
};

TEST_P(ClockOfFollower, SetBackItEndsTheWindow) {
    const auto source = followed();
    auto follower = source->follow({set_world_, {}, false});
    take(*follower->base());
    set("before");
    const Read before = read_until(*follower, "before");
    ASSERT_EQ(before.came, Follower::Came::piece);
    clock_.set(-100 * one_second);
    set("after");
    const Read after = read_until(*follower, "after");
    EXPECT_EQ(after.came, Follower::Came::broken);
    EXPECT_EQ(follower->broken_because(), "the clock of this machine was set back by 100 s");
    const Moment last = after.moments.empty() ? before.moments.back() : after.moments.back();
    EXPECT_GE(last.time, before.moments.back().time);
    // Nor does one go on that finds it set back.
    follower = source->follow({set_world_, last, false});
    EXPECT_FALSE(follower->start().continues);
    EXPECT_EQ(follower->start().why_not, "the clock of this machine was set back behind what was followed");
    EXPECT_LE(follower->start().at.time, clock_.now());
    take(*follower->base());
    set("anew");
    const Read anew = read_until(*follower, "anew");
    ASSERT_EQ(anew.came, Follower::Came::piece);
    EXPECT_LE(anew.moments.back().time, clock_.now());
}

TEST_P(ClockOfFollower, SetAheadItLeavesATimeOfWhichNobodyKnows) {
    auto follower = followed()->follow({set_world_, {}, false});
    take(*follower->base());
    set("before");
    const Read before = read_until(*follower, "before");
    ASSERT_EQ(before.came, Follower::Came::piece);
    const Nanoseconds was = clock_.now();
    clock_.set(100 * one_second);
    set("after");
    const Read after = read_until(*follower, "after");
    ASSERT_EQ(after.came, Follower::Came::piece);
    EXPECT_GT(after.moments.back().time, was + 100 * one_second);
    ASSERT_EQ(after.pauses.size(), 1U);
    EXPECT_LE(after.pauses[0].from, was);
    EXPECT_GE(after.pauses[0].to, was + 100 * one_second);
}

TEST_P(ClockOfFollower, BroughtBackALittleNothingIsDatedBeforeWhatCameBefore) {
    auto follower = followed()->follow({set_world_, {}, false});
    take(*follower->base());
    Nanoseconds time = 0;
    for (int turn = 0; turn < 10; ++turn) {
        const std::string key = "turn" + std::to_string(turn);
        set(key);
        const Read read = read_until(*follower, key);
        ASSERT_EQ(read.came, Follower::Came::piece);
        for (const Moment& moment : read.moments) {
            EXPECT_GE(moment.time, time);
            time = moment.time;
        }
        EXPECT_TRUE(read.pauses.empty());
        clock_.set(-one_second / 2);
    }
}

INSTANTIATE_TEST_SUITE_P(Methods, ClockOfFollower, ::testing::Values("psync", "aof"),
                         [](const auto& method) { return std::string(method.param); });

TEST_F(RedisSourceTest, AServerThatDiesInTheMiddleIsAFailure) {
    RedisServer server;
    std::string commands;
    for (int i = 0; i < 2000; ++i) commands += redis_command({"SET", std::to_string(i), std::string(20000, 'x')});
    server.send(commands);
    server.run({"CONFIG", "SET", "rdb-key-save-delay", "1000"});
    std::jthread killer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
        server.kill();
    });
    try {
        take(*source(server.url())->begin({world_}));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::source_failed) << error.message();
    }
}

}  // namespace
}  // namespace holdfast::redis
