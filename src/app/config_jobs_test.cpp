#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config.h"
#include "app/config_keys.h"
#include "app/json.h"
#include "app/test_types.h"

namespace holdfast::app {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

constexpr Nanoseconds one_hour = 3600 * one_second;
constexpr std::string_view ground = R"(version: 1
repositories:
  main:    {url: /r, site: dc1, medium: disk}
  offsite: {url: /o, site: eu-west-1, medium: object store, offsite: true, replica_of: main}
sources:
  uploads: {kind: files, paths: [/srv/uploads]}
  compose: {kind: command, run: [docker, compose, config]}
)";

ParsedConfig parsed(std::string_view text) {
    return parse_config(std::string(ground) + std::string(text), "/etc/h.yaml", test_types::all);
}

// What is wrong with a job `j`; lines begin after its "LINE:COLUMN".
std::vector<std::string> problems(std::string_view job, std::string_view more = "") {
    std::vector<std::string> out;
    for (const ConfigProblem& each : parsed(fmt::format("jobs:\n  j: {}\n{}", job, more)).problems)
        out.push_back(
            fmt::format("{}:{} {}{}", each.line, each.column, each.text, each.hint.empty() ? "" : " | " + each.hint));
    return out;
}

TEST(ConfigJobs, a_backup_job_is_understood_whole) {
    const ParsedConfig result = parsed(R"(
jobs:
  nightly:
    sources: [uploads, compose]
    schedule: "0 2 * * *"
    timezone: Europe/Berlin
    copies: [offsite]
    tags: {why: daily, release: 2}
    retention: gfs
    after: [hourly]
    allowed_hours: "22:00-06:00"
    jitter: 10m
    catch_up: none
    concurrency: replace
    on_failure: {retry: 3, backoff: 5m}
    timeout: 4h
    overdue_after: 25h
    limits: {upload: 20M, load: 2.5}
    hooks: {before: ["sync", {run: [sleep, 1], timeout: 5m}], on_failure: [[logger, failed]]}
  hourly: {sources: [uploads], schedule: "@hourly", retention: {within: 7d, window: 7d}}
retention:
  gfs: {last: 3, hourly: 24, daily: 30, weekly: 12, monthly: 12, yearly: 7, tags: [why=release], keep_last_good: 2}
service: {ledger: "sqlite:ledger.db"}
)");
    ASSERT_TRUE(result.problems.empty()) << result.problems[0].text;
    const policy::Job& job = *result.config.job("nightly");
    EXPECT_EQ(policy::kind_of(job.task), "backup");
    EXPECT_THAT(job.sources, ElementsAre("uploads", "compose"));
    EXPECT_EQ(job.schedule->text(), "0 2 * * *");
    EXPECT_EQ(job.schedule->zone_name(), "Europe/Berlin");
    EXPECT_EQ(job.timezone, "Europe/Berlin");
    EXPECT_THAT(job.copies, ElementsAre("offsite"));
    EXPECT_EQ(job.tags, (std::map<std::string, std::string>{{"release", "2"}, {"why", "daily"}}));
    EXPECT_EQ(job.retention->name, "gfs");
    const policy::Retention& gfs = job.retention->rules;
    EXPECT_EQ((std::vector{gfs.last, gfs.hourly, gfs.daily, gfs.weekly, gfs.monthly, gfs.yearly, gfs.last_good}),
              (std::vector<std::uint32_t>{3, 24, 30, 12, 12, 7, 2}));
    EXPECT_THAT(gfs.tags, ElementsAre("why=release"));
    EXPECT_THAT(job.after, ElementsAre("hourly"));
    EXPECT_EQ(job.allowed_hours->from_minute, 22 * 60);
    EXPECT_EQ(job.jitter_max, one_hour / 6);
    EXPECT_EQ(job.catch_up, policy::CatchUp::none);
    EXPECT_EQ(job.concurrency, policy::Concurrency::replace);
    EXPECT_EQ(job.retries.count, 3U);
    EXPECT_EQ(job.retries.backoff, 300 * one_second);
    EXPECT_THAT(job.timeout, Optional(4 * one_hour));
    EXPECT_THAT(job.overdue_after, Optional(25 * one_hour));
    EXPECT_THAT(job.limits.upload_bytes_per_second_max, Optional(std::uint64_t{20} << 20));
    EXPECT_THAT(job.limits.load_max, Optional(2.5));
    EXPECT_THAT(job.hooks.before[0].argv, ElementsAre("/bin/sh", "-c", "sync"));
    EXPECT_THAT(job.hooks.before[1].argv, ElementsAre("sleep", "1"));
    EXPECT_THAT(job.hooks.before[1].timeout, Optional(300 * one_second));
    EXPECT_THAT(job.hooks.on_failure[0].argv, ElementsAre("logger", "failed"));
    EXPECT_EQ(job.where, "/etc/h.yaml:10:3");
    EXPECT_THAT(result.config.job("hourly")->retention->rules.within, Optional(7 * 24 * one_hour));
    EXPECT_THAT(result.config.job("hourly")->retention->rules.window, Optional(7 * 24 * one_hour));
    EXPECT_EQ(result.config.service.ledger, "sqlite:/etc/ledger.db");
    EXPECT_EQ(result.config.main_repository()->name, "main");
    EXPECT_TRUE(result.config.repository("offsite")->offsite);
    EXPECT_EQ(result.config.repository("offsite")->medium, "object store");
}

TEST(ConfigJobs, what_is_not_said_has_safe_values) {
    const ParsedConfig result = parsed("jobs: {j: {sources: [uploads]}}\n");
    ASSERT_TRUE(result.problems.empty());
    const policy::Job& job = *result.config.job("j");
    EXPECT_FALSE(job.schedule);
    EXPECT_FALSE(job.retention);
    EXPECT_EQ(job.timezone, "UTC");
    EXPECT_EQ(job.concurrency, policy::Concurrency::forbid);
    EXPECT_EQ(job.catch_up, policy::CatchUp::once);
    EXPECT_EQ(job.retries.count, 0U);
}

TEST(ConfigJobs, every_other_kind_is_understood) {
    const ParsedConfig result = parsed(R"(
jobs:
  proof:   {prove: {pick: random, level: V3, budget: {bytes: 50G, time: 2h}}, sources: [uploads]}
  expire:  {forget: {}, retention: compliance}
  collect: {prune: {}}
  part:    {check: {read_data: 10%}}
  all:     {check: {read_data: true}}
  quick:   {check: {}}
)");
    ASSERT_TRUE(result.problems.empty()) << result.problems[0].text;
    const Config& config = result.config;
    const auto& proof = std::get<policy::ProveTask>(config.job("proof")->task);
    EXPECT_EQ(proof.pick, policy::ProveTask::Pick::random);
    EXPECT_EQ(proof.level, 3);
    EXPECT_THAT(proof.bytes_max, Optional(std::uint64_t{50} << 30));
    EXPECT_THAT(proof.time_max, Optional(2 * one_hour));
    EXPECT_EQ(policy::kind_of(config.job("expire")->task), "forget");
    EXPECT_THAT(config.job("expire")->retention->rules.within, Optional(7 * 365 * 24 * one_hour));
    EXPECT_EQ(policy::kind_of(config.job("collect")->task), "prune");
    EXPECT_THAT(std::get<policy::CheckTask>(config.job("part")->task).share, Optional(0.1));
    EXPECT_TRUE(std::get<policy::CheckTask>(config.job("all")->task).read_data);
    EXPECT_FALSE(std::get<policy::CheckTask>(config.job("quick")->task).read_data);
}

TEST(ConfigJobs, a_job_must_have_one_thing_to_do) {
    EXPECT_THAT(problems("{schedule: \"@daily\"}"), ElementsAre(HasSubstr("9:3 job `j` has nothing to do | Write")));
    EXPECT_THAT(problems("{prune: {}, check: {}}"),
                ElementsAre(HasSubstr("9:18 job `j` has both `prune` and `check` | Make two jobs of it")));
    EXPECT_THAT(problems("{sources: []}"), ElementsAre(HasSubstr("backs up no source")));
    EXPECT_THAT(problems("{prune: {}, copies: [offsite]}"),
                ElementsAre(HasSubstr("9:26 job `j` is no backup job, so it has no `copies`")));
    EXPECT_THAT(problems("{prune: {fast: true}}"), ElementsAre(HasSubstr("`prune` of job `j` has no keys")));
    EXPECT_THAT(problems("{prune}"), ElementsAre(HasSubstr("`prune` of job `j` must be a map, not nothing")));
    EXPECT_THAT(problems("nightly"), ElementsAre(HasSubstr("9:6 job `j` must be a map, not `nightly`")));
}

TEST(ConfigJobs, names_that_lead_nowhere_have_the_nearest_as_the_hint) {
    EXPECT_THAT(problems("{sources: [uplods]}"),
                ElementsAre("9:17 `sources` of job `j`: there is no source `uplods` | Did you mean `uploads`?"));
    EXPECT_THAT(problems("{sources: [uploads], copies: [ofsite]}"),
                ElementsAre(HasSubstr("there is no repository `ofsite` | Did you mean `offsite`?")));
    EXPECT_THAT(problems("{sources: [uploads], repository: x}"),
                ElementsAre(HasSubstr("there is no repository `x` | There is `main`, `offsite`.")));
    EXPECT_THAT(problems("{sources: [uploads], retention: complience}"),
                ElementsAre(HasSubstr("there is no retention `complience` | Did you mean `compliance`?")));
    EXPECT_THAT(problems("{sources: [uploads], after: [k]}"), ElementsAre(HasSubstr("there is no job `k`")));
    EXPECT_THAT(problems("{sources: [uploads], shedule: \"@daily\"}"),
                ElementsAre("9:27 job `j` has no key `shedule` | Did you mean `schedule`?"));
    EXPECT_THAT(problems("{sources: [uploads, uploads]}"),
                ElementsAre(HasSubstr("9:26 `uploads` stands twice in `sources` of job `j`")));
    EXPECT_THAT(problems("{sources: [uploads], copies: [main]}"),
                ElementsAre(HasSubstr("copies to the repository that it backs up to")));
}

TEST(ConfigJobs, schedules_zones_and_hours_are_checked_in_their_place) {
    EXPECT_THAT(problems("{sources: [uploads], schedule: \"0 25 * * *\"}"),
                ElementsAre(HasSubstr("9:37 job `j`: schedule `0 25 * * *`: `25` is no hour")));
    EXPECT_THAT(problems("{sources: [uploads], schedule: \"@daily\", timezone: Europe/Berln}"),
                ElementsAre(HasSubstr("there is no time zone `Europe/Berln` | Did you mean `Europe/Berlin`?")));
    EXPECT_THAT(problems("{sources: [uploads], timezone: Mars}"), ElementsAre(HasSubstr("9:37")));
    EXPECT_EQ(problems("{sources: [uploads], allowed_hours: \"9-5\"}").size(), 1U);
}

TEST(ConfigJobs, wrong_values_say_what_they_should_be) {
    const auto one = [](std::string_view member, std::string_view words) {
        EXPECT_THAT(problems(fmt::format("{{sources: [uploads], {}}}", member)),
                    ElementsAre(HasSubstr(std::string(words))))
            << member;
    };
    one("jitter: soon", "`jitter` of job `j` must be a duration, not `soon`");
    one("timeout: 0s", "must be longer than 0");
    one("catch_up: later", "must be one of `none`, `once`, `all`, not `later`");
    one("concurrency: forbit", "Did you mean `forbid`?");
    one("on_failure: {retry: many}", "`retry` of `on_failure` of job `j` must be a whole number, not `many`");
    one("on_failure: {retry: -1}", "must be a whole number");
    one("on_failure: 3", "must be a map, not `3`");
    one("limits: {upload: fast}", "must be a size, not `fast`");
    one("limits: {upload: 0}", "must be above 0");
    one("limits: {load: -1}", "must be a number above 0, not `-1`");
    one("limits: {load: nan}", "must be a number above 0");
    one("tags: [a]", "must be a map, not a list");
    one("tags: {job: x}", "cannot have the key `job`");
    one("sources: uploads", "stands twice");
    one("copies: offsite", "must be a list of names, not `offsite`");
    one("retention: {}", "keeps nothing");
    one("retention: {daily: x}", "`daily` of `retention` of job `j` must be a whole number, not `x`");
    one("retention: {dayly: 3}", "Did you mean `daily`?");
    one("hooks: [a]", "must be a map, not a list");
    one("hooks: {after: [{timeout: 1m}]}", "has no `run`");
    one("hooks: {after: [{run: x, timeout: 0s}]}", "must be longer than 0");
    one("hooks: {after: [{run: {run: x}}]}", "must be a command, not a map");
    EXPECT_THAT(problems("{prove: {level: V9}}"), ElementsAre(HasSubstr("must be a level of proof, not `V9`")));
    EXPECT_THAT(problems("{prove: {pick: any}}"), ElementsAre(HasSubstr("must be one of `latest`, `random`")));
    EXPECT_THAT(problems("{prove: {to: stagin}}", "environments: {staging: {uploads: /srv/staging}}\n"),
                ElementsAre(HasSubstr("there is no environment `stagin` | Did you mean `staging`?")));
    EXPECT_THAT(problems("{prove: {to: staging, level: V4}, sources: [compose]}",
                         "environments: {staging: {uploads: /srv/staging}}\n"),
                ElementsAre(HasSubstr("has `to`, so it has no `level`"), HasSubstr("has no place for `compose`")));
    EXPECT_THAT(problems("{check: {read_data: 0%}}"), ElementsAre(HasSubstr("must be true or false, not `0%`")));
}

TEST(ConfigJobs, exports_know_the_formats_of_their_source) {
    EXPECT_THAT(problems("{export: {source: uploads, as: [custom], to: /d}}"),
                ElementsAre(HasSubstr("sources of kind `files` have no formats to export")));
    EXPECT_THAT(problems("{export: {as: [custom]}}"),
                ElementsAre(HasSubstr("has no `source`"), HasSubstr("has no `to`")));
    EXPECT_THAT(problems("{export: {source: uplods, as: [x], to: 's3://dumps/shop'}}"),
                Contains(HasSubstr("must be a folder, not a URL")));
    EXPECT_THAT(problems("{export: {source: uplods, as: [x], to: /d}}"), ElementsAre(HasSubstr("`uploads`")));
}

TEST(ConfigJobs, jobs_that_wait_for_themselves_are_refused) {
    EXPECT_THAT(problems("{prune: {}, after: [k]}", "  k: {prune: {}, after: [j]}\n"),
                ElementsAre(HasSubstr("9:25 job `j` waits for itself | It comes after k, j.")));
    EXPECT_THAT(problems("{prune: {}, after: [j]}"), ElementsAre(HasSubstr("job `j` waits for itself")));
}

TEST(ConfigJobs, classes_of_retention_cannot_be_redefined) {
    const ParsedConfig result = parsed("retention: {compliance: {daily: 1}, own: {daily: 1}}\n");
    ASSERT_EQ(result.problems.size(), 1U);
    EXPECT_EQ(result.problems[0].text, "retention `compliance` is one that everybody has");
    EXPECT_TRUE(result.config.rules("own"));
    EXPECT_FALSE(result.config.rules("other"));
}

TEST(ConfigJobs, replicas_name_a_repository_that_is_none_itself) {
    const auto with = [](std::string_view more) {
        std::vector<std::string> out;
        for (const ConfigProblem& each :
             parse_config(fmt::format("version: 1\nrepositories:\n  a: {{url: /a}}\n{}", more), "h.yaml",
                          test_types::all)
                 .problems)
            out.push_back(each.text);
        return out;
    };
    EXPECT_THAT(with("  b: {url: /b, replica_of: c}\n"), ElementsAre(HasSubstr("there is no repository `c`")));
    EXPECT_THAT(with("  b: {url: /b, replica_of: b}\n"), ElementsAre(HasSubstr("is a replica of itself")));
    EXPECT_THAT(with("  b: {url: /b, replica_of: a}\n  c: {url: /c, replica_of: b}\n"),
                ElementsAre(HasSubstr("is a replica of the replica `b`")));
    EXPECT_THAT(with("  b: {url: /b, offsite: far}\n"), ElementsAre(HasSubstr("must be true or false, not `far`")));
}

TEST(ConfigJobs, anchors_that_loop_or_unfold_without_measure_are_refused) {
    const auto first = [](const std::string& text) {
        const ParsedConfig result = parse_config("version: 1\n" + text, "h.yaml", test_types::all);
        return result.problems.empty() ? "" : result.problems[0].text;
    };
    EXPECT_THAT(first("sources: &a {x: *a}\n"), HasSubstr("an anchor stands inside what it stands for"));
    std::string bomb = "sources:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; ++i) {
        bomb += fmt::format("  a{}: &a{} [", i, i);
        for (int j = 0; j < 10; ++j) bomb += fmt::format("*a{},", i - 1);
        bomb += "]\n";
    }
    EXPECT_THAT(first(bomb), HasSubstr("unfold to more than 100,000 values"));
    EXPECT_THAT(first("sources: " + std::string(100'000, '[') + "\n"), HasSubstr("this is not YAML"));
    EXPECT_EQ(first("sources: {a: &a {kind: files, paths: [/x]}, b: *a}\n"), "");
}

// Every key that is read is in the schema, and no other.
TEST(ConfigJobs, the_schema_has_the_keys_that_are_read) {
    const Json schema = Json::parse(config_schema(test_types::all))["properties"];
    const auto has = [](const Json& object, config_keys::Names names) {
        std::vector<std::string> expected(names.begin(), names.end());
        std::vector<std::string> found;
        for (const auto& [key, value] : object["properties"].items()) found.push_back(key);
        EXPECT_THAT(found, testing::UnorderedElementsAreArray(expected));
    };
    const Json& job = schema["jobs"]["additionalProperties"];
    has(job, config_keys::job);
    has(job["properties"]["prove"], config_keys::prove);
    has(job["properties"]["export"], config_keys::export_job);
    has(job["properties"]["check"], config_keys::check_job);
    has(job["properties"]["on_failure"], config_keys::on_failure);
    has(job["properties"]["limits"], config_keys::limits);
    has(schema["retention"]["additionalProperties"], config_keys::retention);
    has(schema["repositories"]["additionalProperties"], config_keys::repository);
    has(schema["service"], config_keys::service);
}

}  // namespace
}  // namespace holdfast::app
