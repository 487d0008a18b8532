#include "sources/redis/staged_capture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "sources/redis/names.h"
#include "sources/redis/planned_capture.h"
#include "sources/redis/rdb.h"

namespace holdfast::redis {
namespace {

using Keys = std::map<std::string, std::string>;  // "DATABASE/NAME" to value

std::string value_of(int number) {
    return std::string(static_cast<std::size_t>(number % 37), 'a') + std::to_string(number);
}

// Keys 0 to count - 1, every seventh one in database 3.
Bytes rdb_of(int count) {
    Bytes out;
    RdbWriter writer([&](ByteView bytes) { append(out, bytes); });
    writer.begin(11);
    for (const std::uint64_t database : {0U, 3U})
        for (int number = 0; number < count; ++number) {
            if ((number % 7 == 0) != (database == 3)) continue;
            writer.begin_key({database, std::to_string(number), no_expiry, 0});
            const std::string text = value_of(number);
            Bytes value;
            append_length(value, text.size());
            append(value, as_bytes(text));
            writer.value(value);
        }
    writer.end();
    return out;
}

Keys keys_of(int count) {
    Keys out;
    for (int number = 0; number < count; ++number)
        out[fmt::format("{}/{}", number % 7 == 0 ? 3 : 0, number)] = value_of(number);
    return out;
}

RdbInput::Read reading(const Bytes& bytes, std::size_t most = 1000) {
    return [&bytes, most, at = std::size_t{0}](MutableByteView into) mutable {
        const std::size_t some = std::min({into.size(), most, bytes.size() - at});
        std::ranges::copy(ByteView(bytes).subspan(at, some), into.begin());
        at += some;
        return some;
    };
}

class StagedCaptureTest : public ::testing::Test {
protected:
    static constexpr std::uint64_t stage_bytes = 20'000;
    StagedCaptureTest() { ::setenv("XDG_STATE_HOME", state_.path().c_str(), 1); }

    struct Taken {
        Keys keys;
        std::map<std::string, std::string> versions;  // by item
        std::size_t ahead = 0;                        // batches
    };

    // As the engine does it: what comes ahead is read then, and taken when its turn comes.
    Taken take(Capture& capture) {
        Taken out;
        std::map<std::string, Bytes> ahead;
        Batch batch;
        while (capture.next(batch)) {
            out.ahead += batch.is_ahead ? 1 : 0;
            for (const Batch::Entry& entry : batch.entries) {
                if (entry.item.kind != ItemKind::file || entry.item.path == server_item) continue;
                if (!batch.is_ahead) {
                    EXPECT_TRUE(out.versions.emplace(entry.item.path, entry.version).second);
                }
                auto known = ahead.extract(entry.item.path);
                Bytes bytes = known ? std::move(known.mapped()) : read(*capture.open(batch, entry).data);
                if (batch.is_ahead)
                    ahead.emplace(entry.item.path, std::move(bytes));
                else
                    add_keys(out.keys, entry.item.path, bytes);
            }
        }
        EXPECT_TRUE(ahead.empty());
        capture.finish();
        return out;
    }

    static Bytes read(ItemData& data) {
        Bytes out, buffer(1000);
        while (const std::size_t got = data.read(buffer).bytes) append(out, ByteView(buffer).first(got));
        return out;
    }

    static void add_keys(Keys& keys, const std::string& item, ByteView bytes) {
        struct Sink final : RecordSink {
            void key(const RecordHead& head) override { name = head.name; }
            void value(ByteView bytes) override { append(text, bytes); }
            void end_key(const RecordHead&) override {
                EXPECT_TRUE(keys->emplace(database + "/" + name, as_text(text).substr(1)).second) << name;
                text.clear();
            }
            Keys* keys = nullptr;
            std::string database, name;
            Bytes text;
        } sink;
        sink.keys = &keys;
        sink.database = item.substr(0, item.find('/'));
        RecordReader reader(sink);
        reader.feed(bytes);
        reader.end();
    }

    RdbOrigin origin() const { return {.source = "test", .place = "here"}; }

    TemporaryFolder state_;
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, stderr_log(Level::error)};
};

TEST_F(StagedCaptureTest, AllKeysComeOnceThoughTheyWereStoredWhileMoreCame) {
    const Bytes rdb = rdb_of(10'000);
    StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
    const Taken taken = take(capture);
    EXPECT_GT(taken.ahead, 1U);
    EXPECT_EQ(taken.keys, keys_of(10'000));
}

TEST_F(StagedCaptureTest, AServerWithoutKeysIsOneToo) {
    const Bytes rdb = rdb_of(0);
    StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
    const Taken taken = take(capture);
    EXPECT_TRUE(taken.keys.empty());
    EXPECT_TRUE(MemoryReader::open(memory_path(origin())));
}

TEST_F(StagedCaptureTest, AfterwardsNothingHasChanged) {
    const Bytes rdb = rdb_of(5'000);
    Taken first;
    {
        StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
        first = take(capture);
    }
    auto before = MemoryReader::open(memory_path(origin()));
    ASSERT_TRUE(before);
    PlannedCapture again(world_, origin(), std::move(before), reading(rdb));
    const Taken second = take(again);
    EXPECT_EQ(second.versions, first.versions);
    EXPECT_EQ(second.keys, first.keys);
}

TEST_F(StagedCaptureTest, OneKeyMoreIsOneLayerMore) {
    const Bytes rdb = rdb_of(5'000), more = rdb_of(5'001);
    Taken first;
    {
        StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
        first = take(capture);
    }
    PlannedCapture again(world_, origin(), MemoryReader::open(memory_path(origin())), reading(more));
    const Taken second = take(again);
    EXPECT_EQ(second.keys, keys_of(5'001));
    std::size_t fresh = 0;
    for (const auto& [item, version] : second.versions)
        if (!first.versions.contains(item) || first.versions.at(item) != version) ++fresh;
    EXPECT_EQ(fresh, 1U);
}

TEST_F(StagedCaptureTest, DataThatEndsInTheMiddleIsNoCapture) {
    Bytes rdb = rdb_of(10'000);
    rdb.resize(rdb.size() / 2);
    StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
    try {
        take(capture);
        FAIL() << "it went on to the end";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::corrupt);
    }
    EXPECT_FALSE(MemoryReader::open(memory_path(origin())));
}

TEST_F(StagedCaptureTest, WhoNeverBeginsWaitsForNothing) {
    const Bytes rdb = rdb_of(10'000);
    std::promise<void> was_read;
    RdbInput::Read read = reading(rdb);
    StagedCapture capture(
        world_, origin(),
        [&](MutableByteView into) {
            const std::size_t got = read(into);
            if (got == 0) was_read.set_value();
            return got;
        },
        stage_bytes);
    was_read.get_future().wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until the last stage waits behind another one
}

TEST_F(StagedCaptureTest, WhoStopsInTheMiddleWaitsForNothing) {
    const Bytes rdb = rdb_of(10'000);
    {
        StagedCapture capture(world_, origin(), reading(rdb), stage_bytes);
        Batch batch;
        ASSERT_TRUE(capture.next(batch));
        ASSERT_TRUE(batch.is_ahead);
    }
    EXPECT_FALSE(MemoryReader::open(memory_path(origin())));
}

}  // namespace
}  // namespace holdfast::redis
