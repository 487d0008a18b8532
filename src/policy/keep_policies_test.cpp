#include "policy/keep_policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Nanoseconds one_day = 86400 * one_second;

Job backup(const std::string& name, std::vector<std::string> sources, std::optional<NamedRetention> retention) {
    Job out;
    out.name = name;
    out.sources = std::move(sources);
    out.retention = std::move(retention);
    return out;
}

Candidate snapshot(int day, std::map<std::string, std::string> tags = {}, const std::string& source = "db") {
    return {
        .group = source + "\nhost", .received = day * one_day + one_day / 2, .tags = std::move(tags), .source = source};
}

std::vector<bool> kept(const KeepPolicies& policies, const std::vector<Candidate>& all) {
    std::vector<bool> out;
    for (const auto& each : policies.decide(all)) {
        EXPECT_FALSE(each.reasons.empty());
        out.push_back(each.keep);
    }
    return out;
}

TEST(KeepPolicies, a_snapshot_is_judged_by_the_job_that_made_it) {
    const std::vector<Job> jobs{backup("hourly", {"db"}, NamedRetention{"", {.last = 1}}),
                                backup("monthly", {"db"}, NamedRetention{"compliance", {.last = 3}})};
    const KeepPolicies policies(jobs, {});
    const std::vector<Candidate> all{snapshot(1, {{"job", "hourly"}}), snapshot(2, {{"job", "monthly"}}),
                                     snapshot(3, {{"job", "monthly"}}), snapshot(4, {{"job", "hourly"}})};
    EXPECT_EQ(kept(policies, all), (std::vector<bool>{false, true, true, true}));
    EXPECT_THAT(policies.decide(all)[0].reasons, ElementsAre("job hourly does not keep it"));
    EXPECT_THAT(policies.decide(all)[1].reasons, ElementsAre("compliance: last 3"));
}

TEST(KeepPolicies, a_job_of_the_same_name_elsewhere_is_another_job) {
    const std::vector<Job> jobs{backup("nightly", {"db"}, NamedRetention{"", {.last = 1}}),
                                backup("files", {"other"}, NamedRetention{"", {.last = 2}})};
    const KeepPolicies policies(jobs, {});
    const std::map<std::string, std::string> tag{{"job", "nightly"}};
    EXPECT_EQ(
        kept(policies, {snapshot(1, tag, "theirs"), snapshot(2, tag, "theirs"), snapshot(1, tag), snapshot(2, tag)}),
        (std::vector<bool>{true, true, false, true}));
    EXPECT_EQ(kept(policies, {snapshot(1, tag, "other"), snapshot(2, tag, "other"), snapshot(3, tag, "other")}),
              (std::vector<bool>{false, true, true}));
    EXPECT_EQ(kept(policies, {snapshot(1, tag, "db@here"), snapshot(2, tag, "db@here")}),
              (std::vector<bool>{false, true}));
}

TEST(KeepPolicies, masters_of_a_cluster_are_what_the_clusters_job_made) {
    const std::vector<Job> jobs{backup("nightly", {"carts"}, NamedRetention{"", {.last = 1}})};
    const KeepPolicies policies(jobs, {});
    const std::map<std::string, std::string> tag{{"job", "nightly"}};
    EXPECT_EQ(kept(policies, {snapshot(1, tag, "carts.5461"), snapshot(2, tag, "carts.5461"),
                              snapshot(2, tag, "carts.0"), snapshot(1, {}, "carts.1"), snapshot(2, {}, "carts.1")}),
              (std::vector<bool>{false, true, true, true, true}));
}

TEST(KeepPolicies, one_by_hand_stays_when_any_job_of_its_source_keeps_it) {
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1}}),
                                backup("b", {"db"}, NamedRetention{"", {.within = 2 * one_day}})};
    const KeepPolicies policies(jobs, {});
    EXPECT_EQ(kept(policies, {snapshot(1), snapshot(2), snapshot(3), snapshot(4)}),
              (std::vector<bool>{false, true, true, true}));
    EXPECT_EQ(kept(policies, {snapshot(1, {{"job", "gone"}}), snapshot(9)}), (std::vector<bool>{false, true}));
}

TEST(KeepPolicies, what_no_policy_speaks_of_stays) {
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1}}),
                                backup("b", {"db"}, std::nullopt)};
    const KeepPolicies policies(jobs, {});
    EXPECT_FALSE(policies.empty());
    EXPECT_THAT(policies.decide(std::vector{snapshot(1, {}, "other")})[0].reasons,
                ElementsAre("no retention speaks of it"));
    const auto decided = policies.decide(std::vector{snapshot(1, {{"job", "b"}}), snapshot(2, {{"job", "b"}})});
    EXPECT_TRUE(decided[0].keep);
    EXPECT_THAT(decided[0].reasons, ElementsAre("job b has no retention"));
    EXPECT_TRUE(KeepPolicies({}, {}).empty());
}

TEST(KeepPolicies, a_tag_adds_a_retention) {
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1}})};
    const KeepPolicies policies(jobs, {{"own", Retention{.last = 2}}});
    const std::vector<Candidate> all{snapshot(1, {{"retention", "compliance"}}), snapshot(2, {{"retention", "own"}}),
                                     snapshot(3, {{"retention", "wrong"}}), snapshot(4), snapshot(5)};
    EXPECT_EQ(kept(policies, all), (std::vector<bool>{true, true, true, false, true}));
    EXPECT_THAT(policies.decide(all)[0].reasons, ElementsAre("tag compliance: within 2555 d"));
    EXPECT_THAT(policies.decide(all)[2].reasons, ElementsAre("its tag retention=wrong names no retention"));
}

TEST(KeepPolicies, a_forget_job_has_rules_for_whatever_its_sources_have) {
    Job expire = backup("expire", {}, NamedRetention{"", {.last = 2}});
    expire.task = ForgetTask{};
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1}}), expire};
    EXPECT_EQ(kept(KeepPolicies(jobs, {}), {snapshot(1, {{"job", "a"}}), snapshot(2, {{"job", "a"}}), snapshot(3)}),
              (std::vector<bool>{false, true, true}));
}

TEST(KeepPolicies, the_last_good_one_stays_always) {
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1}})};
    std::vector<Candidate> all{snapshot(1), snapshot(2), snapshot(3), snapshot(4)};
    all[0].good = all[1].good = true;
    all[2].held = true;
    EXPECT_EQ(kept(KeepPolicies(jobs, {}), all), (std::vector<bool>{false, true, true, true}));
    EXPECT_THAT(KeepPolicies(jobs, {}).decide(all)[1].reasons, ElementsAre("job a: last good"));
}

TEST(KeepPolicies, the_longest_window_counts) {
    const std::vector<Job> jobs{backup("a", {"db"}, NamedRetention{"", {.last = 1, .window = one_day}}),
                                backup("b", {"db"}, NamedRetention{"", {.last = 1, .window = 7 * one_day}}),
                                backup("c", {"other"}, NamedRetention{"", {.last = 1, .window = 9 * one_day}})};
    EXPECT_THAT(KeepPolicies(jobs, {}).window_of("db"), testing::Optional(7 * one_day));
    EXPECT_EQ(KeepPolicies(jobs, {}).window_of("third"), std::nullopt);
}

TEST(KeepPolicies, sources_match_with_or_without_their_host) {
    EXPECT_TRUE(is_source_of("files:/etc@a", "files:/etc"));
    EXPECT_TRUE(is_source_of("db", "db"));
    EXPECT_FALSE(is_source_of("db2", "db"));
}

}  // namespace
}  // namespace holdfast::policy
