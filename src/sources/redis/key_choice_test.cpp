#include "sources/redis/key_choice.h"

#include <gtest/gtest.h>

namespace holdfast::redis {
namespace {

constexpr std::int64_t captured = 1'700'000'000'000, now = captured + 3'600'000;

struct Taken {
    bool is_taken = false;
    std::int64_t expiry = 0;
    std::string text;
    bool operator==(const Taken&) const = default;
};

Taken take(Expired expired, std::int64_t expiry, std::int64_t captured_ms = captured) {
    KeyChoice choice({}, expired, now, captured_ms);
    Taken out;
    out.expiry = expiry;
    out.is_taken = choice.take_expiry(out.expiry);
    if (!out.is_taken) out.expiry = 0;
    out.text = choice.expired_text();
    return out;
}

TEST(KeyChoice, KeysWithoutAnExpiryAndThoseToComeAreTaken) {
    for (const Expired expired : {Expired::drop, Expired::keep, Expired::shift})
        EXPECT_EQ(take(expired, no_expiry), (Taken{true, no_expiry, ""}));
    EXPECT_EQ(take(Expired::drop, now + 1), (Taken{true, now + 1, ""}));
    EXPECT_EQ(take(Expired::keep, now + 1), (Taken{true, now + 1, ""}));
    EXPECT_EQ(take(Expired::shift, captured + 1), (Taken{true, now + 1, ""}));
}

TEST(KeyChoice, WhoseTimeHasComeSinceGoesOrStaysByChoice) {
    EXPECT_EQ(take(Expired::drop, now), (Taken{false, 0, "a key whose time has come since the capture stayed away"}));
    EXPECT_EQ(take(Expired::keep, now),
              (Taken{true, no_expiry, "a key whose time has come since the capture came back without an expiry"}));
}

TEST(KeyChoice, WhatHadExpiredAtTheCaptureIsNotShifted) {
    const Taken gone{false, 0, "a key whose time had come at the capture already stayed away"};
    EXPECT_EQ(take(Expired::shift, captured), gone);
    EXPECT_EQ(take(Expired::shift, captured - 1), gone);
    EXPECT_EQ(take(Expired::shift, now - 1, 0).is_taken, false);
}

}  // namespace
}  // namespace holdfast::redis
