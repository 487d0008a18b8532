#include "sources/redis/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Settings sound{
    {"appendonly", "yes"},
    {"appendfsync", "everysec"},
    {"save", "3600 1"},
    {"maxmemory-policy", "noeviction"},
    {"maxmemory", "0"},
    {"rdbchecksum", "yes"},
    {"repl-backlog-size", "268435456"},
    {"client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"}};

auto Says(const std::string& text) { return ::testing::Field(&Observation::text, HasSubstr(text)); }

Settings with(std::initializer_list<std::pair<std::string, std::string>> changes) {
    Settings out = sound;
    for (const auto& [name, value] : changes) out[name] = value;
    return out;
}

TEST(Advice, IsNotGivenToASoundServerNorWithoutKnowingAnything) {
    EXPECT_THAT(advice("rdb_last_bgsave_status:ok\r\nmaster_link_status:up\r\n", sound), IsEmpty());
    EXPECT_THAT(advice("", {}), IsEmpty());
    EXPECT_THAT(advice_for_following(sound), IsEmpty());
    EXPECT_THAT(advice_for_following({}), IsEmpty());
    // No limit, and a policy that has none to keep.
    EXPECT_THAT(advice_for_following(with({{"client-output-buffer-limit", "slave 0 0 0"}})), IsEmpty());
    EXPECT_THAT(advice("", with({{"maxmemory-policy", "allkeys-lru"}})), IsEmpty());
}

TEST(Advice, NamesEachThingThatLosesData) {
    EXPECT_THAT(advice("", with({{"appendonly", "no"}, {"save", ""}})), ElementsAre(Says("nothing to its disk")));
    EXPECT_THAT(advice("", with({{"appendonly", "no"}})), IsEmpty());
    EXPECT_THAT(advice("", with({{"appendfsync", "no"}})), ElementsAre(Says("appendfsync is no")));
    EXPECT_THAT(advice("", with({{"maxmemory", "100"}, {"maxmemory-policy", "volatile-ttl"}})),
                ElementsAre(Says("volatile-ttl")));
    EXPECT_THAT(advice("", with({{"rdbchecksum", "no"}})), ElementsAre(Says("rdbchecksum")));
    EXPECT_THAT(advice("rdb_last_bgsave_status:err\r\nmaster_link_status:down\r\n", sound),
                ElementsAre(Says("BGSAVE failed"), Says("may be old")));
}

TEST(Advice, NamesWhatCutsAFollowerOff) {
    EXPECT_THAT(advice_for_following(with({{"repl-backlog-size", "1048576"}})), ElementsAre(Says("1.05 MB")));
    for (const char* const name : {"slave", "replica"})
        EXPECT_THAT(advice_for_following(with({{"client-output-buffer-limit",
                                                fmt::format("normal 0 0 0 {} 1048576 0 0 pubsub 0 0 0", name)}})),
                    ElementsAre(Says("client-output-buffer-limit")));
}

TEST(Advice, ComparesWithWhatIsDeclaredAndWithWhatChanges) {
    const Load half_a_minute{.rpo = 30 * one_second};
    EXPECT_THAT(advice("", sound, half_a_minute), IsEmpty());
    EXPECT_THAT(advice("", with({{"appendonly", "no"}}), half_a_minute), ElementsAre(Says("up to 1 h")));
    EXPECT_THAT(advice("", with({{"appendonly", "no"}}), {.rpo = 2 * 3600 * one_second}), IsEmpty());
    EXPECT_THAT(advice("", sound, {.rpo = one_second}), ElementsAre(Says("up to 2.0 s")));
    EXPECT_THAT(advice("", with({{"appendfsync", "always"}}), {.rpo = one_second}), IsEmpty());

    EXPECT_THAT(advice_for_following(sound, {.bytes_each_second = 100'000}), IsEmpty());
    const Observations busy = advice_for_following(sound, {.bytes_each_second = 10'000'000});
    ASSERT_THAT(busy, ElementsAre(Says("26 s of what it changes now")));
    EXPECT_EQ(busy[0].severity, Severity::warning);
    EXPECT_THAT(busy[0].fix, HasSubstr("repl-backlog-size 5723mb"));
    EXPECT_THAT(advice_for_following(with({{"repl-backlog-size", "10000000000"}}),
                                     {.bytes_each_second = 10'000'000, .bytes = 4'000'000'000}),
                ElementsAre(Says("while a base is read")));
}

}  // namespace
}  // namespace holdfast::redis
