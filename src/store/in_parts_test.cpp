#include "store/in_parts.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/error.h"
#include "testing/memory_store.h"

namespace holdfast {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

class FarStore final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;
    std::optional<double> connection_speed() const override { return speed; }
    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override {
        ++requests;
        if (offset >= gone_from) return std::nullopt;
        if (offset >= fails_from) throw Error{Code::unreachable, "{} at {} is not given", name, offset};
        return inner().read_range(name, offset, bytes);
    }
    std::optional<double> speed;
    std::uint64_t gone_from = UINT64_MAX, fails_from = UINT64_MAX;
    std::atomic<int> requests = 0;
};

class ReadingInParts : public ::testing::Test {
protected:
    ReadingInParts() : object_(6 * mebibyte) {
        for (std::size_t i = 0; i < object_.size(); ++i) object_[i] = static_cast<std::uint8_t>(i * 31 + i / 4096);
        memory_.create("object", object_);
    }
    // How many requests a range is.
    int requests_of(std::uint64_t offset, std::size_t bytes) {
        const int before = far_.requests;
        const auto read = store_.read_range("object", offset, bytes);
        EXPECT_TRUE(read && equal(*read, ByteView(object_).subspan(offset, bytes)));
        return far_.requests - before;
    }

    MemoryStore memory_{system_clock(), StoreTraits{.is_remote = true}};
    Bytes object_;
    FarStore far_{memory_};
    ReadInParts store_{far_};
};

TEST_F(ReadingInParts, a_large_range_of_slow_connections_is_read_by_several) {
    EXPECT_EQ(requests_of(0, 4 * mebibyte), 1) << "nothing is known of them";
    far_.speed = 2e6;
    EXPECT_EQ(requests_of(17, 4 * mebibyte), 4);
    EXPECT_EQ(requests_of(17, mebibyte), 4);
    EXPECT_EQ(requests_of(17, mebibyte / 2 + 1), 2) << "no part is smaller";
    EXPECT_EQ(requests_of(17, mebibyte / 2 - 1), 1);
    EXPECT_EQ(requests_of(mebibyte + 7, 5 * mebibyte - 7), 4) << "the end of the object";
    far_.speed = 20e6;
    EXPECT_EQ(requests_of(17, 4 * mebibyte), 1) << "fast again";
}

TEST_F(ReadingInParts, an_object_that_ends_earlier_or_is_not_there_is_told_as_by_one_request) {
    far_.speed = 2e6;
    for (const std::uint64_t offset : {2 * mebibyte + 1, 5 * mebibyte, 6 * mebibyte - 1}) {
        const auto read = store_.read_range("object", offset, 4 * mebibyte);
        ASSERT_TRUE(read);
        EXPECT_TRUE(equal(*read, ByteView(object_).subspan(offset))) << offset;
        EXPECT_LE(read->capacity(), 4 * mebibyte) << "room for what came, not for what was asked";
    }
    EXPECT_TRUE(store_.read_range("object", 6 * mebibyte, 4 * mebibyte)->empty());
    EXPECT_FALSE(store_.read_range("other", 0, 4 * mebibyte));
}

TEST_F(ReadingInParts, an_object_that_goes_in_between_is_not_there) {
    far_.speed = 2e6;
    far_.gone_from = 3 * mebibyte;
    EXPECT_FALSE(store_.read_range("object", 0, 4 * mebibyte));
}

TEST_F(ReadingInParts, a_part_that_fails_fails_the_range) {
    far_.speed = 2e6;
    for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{2 * mebibyte}}) {
        far_.fails_from = from;
        try {
            store_.read_range("object", 0, 4 * mebibyte);
            ADD_FAILURE() << from;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::unreachable);
        }
    }
}

}  // namespace
}  // namespace holdfast
