#include "store/in_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "testing/memory_store.h"
#include "testing/sim_world.h"

namespace holdfast {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

// A connection of so many bytes a second.
class ThinStore final : public StoreDecorator {
public:
    ThinStore(Store& inner, SimClock& clock, double speed) : StoreDecorator(inner), clock_(clock), speed_(speed) {}
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        ++requests;
        if (fails) throw Error{Code::unreachable, "{} at {} is not given", name, offset};
        clock_.advance(static_cast<Nanoseconds>(static_cast<double>(bytes) / speed_ * static_cast<double>(one_second)));
        return inner().read_range(name, offset, bytes);
    }
    std::atomic<int> requests = 0;
    std::atomic<bool> fails = false;

private:
    SimClock& clock_;
    const double speed_;
};

class ReadingInParts : public ::testing::Test {
protected:
    ReadingInParts() {
        Bytes bytes(6 * mebibyte);
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 31 + i / 4096);
        object_ = bytes;
        memory_.create("object", bytes);
    }
    // How many requests a range is.
    int requests_of(std::uint64_t offset, std::size_t bytes) {
        const int before = thin_->requests;
        const auto read = store_->read_range("object", offset, bytes);
        EXPECT_TRUE(read && equal(*read, ByteView(object_).subspan(offset, bytes)));
        return thin_->requests - before;
    }
    void at(double speed) {
        auto thin = std::make_unique<ThinStore>(memory_, clock_, speed);
        thin_ = thin.get();
        store_ = std::make_unique<ReadInParts>(std::move(thin), clock_);
    }

    SimClock clock_;
    MemoryStore memory_{clock_, StoreTraits{.is_remote = true}};
    Bytes object_;
    ThinStore* thin_ = nullptr;
    std::unique_ptr<ReadInParts> store_;
};

TEST_F(ReadingInParts, a_large_range_of_slow_connections_is_read_by_several) {
    at(2e6);
    EXPECT_EQ(requests_of(0, 4 * mebibyte), 1) << "nothing is known of the connection";
    EXPECT_EQ(requests_of(17, 4 * mebibyte), 4);
    EXPECT_EQ(requests_of(17, mebibyte), 4);
    EXPECT_EQ(requests_of(17, mebibyte / 2 + 1), 2) << "no part is smaller";
    EXPECT_EQ(requests_of(17, mebibyte / 2 - 1), 1);
    EXPECT_EQ(requests_of(mebibyte + 7, 5 * mebibyte - 7), 4) << "the end of the object";
}

TEST_F(ReadingInParts, a_fast_connection_carries_a_range_alone) {
    at(50e6);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(requests_of(0, 4 * mebibyte), 1);
}

TEST_F(ReadingInParts, what_is_short_says_nothing_of_a_connection) {
    at(2e6);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(requests_of(0, 65536), 1);
    EXPECT_EQ(requests_of(0, 4 * mebibyte), 1);
}

TEST_F(ReadingInParts, an_object_that_ends_earlier_or_is_not_there_is_told_as_by_one_request) {
    at(2e6);
    requests_of(0, 4 * mebibyte);
    for (const std::uint64_t offset : {2 * mebibyte + 1, 5 * mebibyte, 6 * mebibyte - 1}) {
        const auto read = store_->read_range("object", offset, 4 * mebibyte);
        ASSERT_TRUE(read);
        EXPECT_TRUE(equal(*read, ByteView(object_).subspan(offset))) << offset;
    }
    EXPECT_FALSE(store_->read_range("other", 0, 4 * mebibyte));
}

TEST_F(ReadingInParts, a_part_that_fails_fails_the_range) {
    at(2e6);
    requests_of(0, 4 * mebibyte);
    thin_->fails = true;
    try {
        store_->read_range("object", 0, 4 * mebibyte);
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unreachable);
    }
}

}  // namespace
}  // namespace holdfast
