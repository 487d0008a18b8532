#include "policy/lint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "policy/lint_texts.h"

namespace holdfast::policy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Nanoseconds one_hour = 3600 * one_second;
constexpr Nanoseconds one_day = 24 * one_hour;

Job job(const std::string& name, Task task, const std::string& schedule) {
    Job out;
    out.name = name;
    out.task = std::move(task);
    out.where = "h.yaml:" + name;
    if (!schedule.empty()) out.schedule = Schedule::parse(schedule);
    return out;
}

// A configuration with which nothing is wrong.
LintInput sound() {
    LintInput out;
    out.now = parse_time("2026-03-01T00:00:00Z", 0).value();
    out.main_repository = "main";
    out.repositories = {{"main", "h.yaml:main", "dc1", "disk", false, ""},
                        {"far", "h.yaml:far", "eu", "object store", true, "main"}};
    LintSource db;
    db.name = "db";
    db.where = "h.yaml:db";
    db.rpo = one_day;
    out.sources = {db};
    Job nightly = job("nightly", BackupTask{}, "0 2 * * *");
    nightly.sources = {"db"};
    nightly.copies = {"far"};
    nightly.retention = NamedRetention{"", {.daily = 30}};
    Job collect = job("collect", PruneTask{}, "");
    collect.after = {"expire"};
    out.jobs = {nightly, job("proof", ProveTask{}, "0 6 * * 0"), job("expire", ForgetTask{}, "0 5 * * *"), collect};
    return out;
}

std::vector<std::string> rules_of(const LintInput& input) {
    std::vector<std::string> out;
    for (const LintFinding& each : lint(input)) {
        EXPECT_FALSE(each.where.empty() || each.what.empty() || each.why.empty() || each.fix.empty()) << each.rule;
        out.push_back(fmt::format("{} {}", each.rule, each.where));
    }
    return out;
}

TEST(Lint, a_sound_configuration_has_no_findings) { EXPECT_THAT(rules_of(sound()), IsEmpty()); }

TEST(Lint, an_objective_that_the_schedule_cannot_meet_is_an_error) {
    LintInput input = sound();
    input.sources[0].rpo = one_hour;
    const auto found = lint(input);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].severity, Severity::error);
    EXPECT_EQ(found[0].rule, "rpo-unattainable");
    EXPECT_EQ(found[0].what, "source `db` may lose 1 h at most, but is backed up every 1 d");
    input.jobs[0].schedule = Schedule::parse("0 * * * *");
    EXPECT_THAT(rules_of(input), IsEmpty());
    input.jobs[0].schedule = Schedule::parse("0 8-18 * * *");  // fourteen hours in the night
    EXPECT_THAT(rules_of(input), ElementsAre("rpo-unattainable h.yaml:db"));
    input.sources[0].follow = true;
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, the_most_frequent_job_of_a_source_counts) {
    LintInput input = sound();
    input.sources[0].rpo = one_hour;
    Job hourly = input.jobs[0];
    hourly.name = "hourly";
    hourly.schedule = Schedule::parse("@hourly");
    input.jobs.push_back(hourly);
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, a_job_that_follows_another_is_due_as_often) {
    LintInput input = sound();
    input.jobs.push_back(job("first", CheckTask{}, "0 3 * * 1"));
    input.jobs[0].schedule.reset();
    input.jobs[0].after = {"first"};
    EXPECT_THAT(rules_of(input), ElementsAre("rpo-unattainable h.yaml:db"));
}

TEST(Lint, a_threshold_beyond_objective_or_schedule_is_seen) {
    LintInput input = sound();
    input.jobs[0].overdue_after = 25 * one_hour;
    EXPECT_THAT(rules_of(input), ElementsAre("threshold-beyond-objective h.yaml:nightly"));
    input.sources[0].rpo.reset();
    EXPECT_THAT(rules_of(input), IsEmpty());
    input.jobs[0].schedule = Schedule::parse("0 */6 * * *");
    EXPECT_THAT(lint(input)[0].what, HasSubstr("runs every 6 h, but counts as overdue only after 1 d 1 h"));
    input.jobs[0].overdue_after = 8 * one_hour;
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, sources_without_backup_or_proof_are_named) {
    LintInput input = sound();
    std::get<ProveTask>(input.jobs[1].task).level = 4;
    std::get<ProveTask>(input.jobs[1].task).level = 2;
    EXPECT_THAT(lint(input)[0].what, HasSubstr("proved up to V2 only"));
    std::get<ProveTask>(input.jobs[1].task).level = 3;
    EXPECT_THAT(rules_of(input), IsEmpty());
    input.jobs[1].sources = {"another"};
    EXPECT_THAT(rules_of(input), ElementsAre("no-proof h.yaml:db"));
    input.jobs[0].sources = {"another"};
    EXPECT_THAT(rules_of(input), ElementsAre("unprotected h.yaml:db"));
    input.sources[0].follow = true;
    EXPECT_THAT(rules_of(input), ElementsAre("no-proof h.yaml:db"));
}

TEST(Lint, what_took_longer_than_its_objective_is_an_error_and_what_nobody_measured_a_note) {
    LintInput input = sound();
    input.sources[0].rto = one_hour;
    input.sources[0].recovery_unknown_because = "there is no ledger yet";
    auto found = lint(input);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].severity, Severity::note);
    EXPECT_EQ(found[0].rule, "rto-unknown");
    EXPECT_THAT(found[0].what, HasSubstr("there is no ledger yet"));
    input.sources[0].recovery = RecoveryTime{.count = 4, .median = 1800, .worst = 3660};
    found = lint(input);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].severity, Severity::error);
    EXPECT_EQ(found[0].what,
              "source `db` shall be back within 1 h, but took up to 1 h 1 min in its last 4 restores and proofs");
    input.sources[0].recovery->worst = 3600;
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, what_a_critical_source_lacks_is_said_in_one_line) {
    LintInput input = sound();
    input.sources[0].criticality = Criticality::critical;
    input.sources[0].rto = one_hour;
    input.sources[0].recovery = RecoveryTime{.count = 1, .median = 60, .worst = 60};
    EXPECT_THAT(rules_of(input), IsEmpty());
    input.sources[0].rto.reset();
    EXPECT_THAT(rules_of(input), ElementsAre("critical-at-risk h.yaml:db"));
    EXPECT_EQ(lint(input)[0].what, "source `db` is critical, but it lacks `objectives` of both `rpo` and `rto`");
    input.jobs[1].sources = {"another"};
    input.repositories.pop_back();
    EXPECT_THAT(rules_of(input),
                ElementsAre("no-proof h.yaml:db", "critical-at-risk h.yaml:db", "copies h.yaml:nightly"));
    EXPECT_EQ(
        lint(input)[1].what,
        "source `db` is critical, but it lacks `objectives` of both `rpo` and `rto`, no job proves it, it has less "
        "than 3-2-1 copies");
    input.sources[0].criticality = Criticality::high;
    EXPECT_THAT(rules_of(input), ElementsAre("no-proof h.yaml:db", "copies h.yaml:nightly"));
}

TEST(Lint, a_critical_source_that_one_of_its_jobs_copies_well_is_copied_well) {
    LintInput input = sound();
    input.sources[0].criticality = Criticality::critical;
    input.sources[0].rto = one_hour;
    input.sources[0].recovery = RecoveryTime{.count = 1, .median = 60, .worst = 60};
    input.repositories.push_back({"near", "h.yaml:near", "dc1", "disk", false, ""});
    Job extra = input.jobs[0];
    extra.name = "extra";
    extra.where = "h.yaml:extra";
    extra.repository = "near";
    extra.copies.clear();
    input.jobs.push_back(extra);
    EXPECT_THAT(rules_of(input), ElementsAre("copies h.yaml:extra"));
}

TEST(Lint, a_canary_of_what_nobody_follows_is_seen) {
    LintInput input = sound();
    input.sources[0].canary = true;
    EXPECT_THAT(rules_of(input), ElementsAre("canary-without-follow h.yaml:db"));
    input.sources[0].follow = true;
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, jobs_that_are_never_due_are_errors_and_those_by_hand_are_said) {
    LintInput input = sound();
    input.jobs[1].schedule = Schedule::parse("0 6 30 2 *");
    EXPECT_THAT(rules_of(input), ElementsAre("never-due h.yaml:proof"));
    Job waits;
    waits.name = "waits";
    waits.where = "h.yaml:waits";
    waits.task = CheckTask{};
    waits.after = {"proof"};
    input.jobs.push_back(waits);
    EXPECT_THAT(rules_of(input), ElementsAre("never-due h.yaml:proof", "never-due h.yaml:waits"));
    input.jobs.pop_back();
    input.jobs[1].schedule.reset();
    EXPECT_THAT(rules_of(input), ElementsAre("only-by-hand h.yaml:proof"));
}

TEST(Lint, retention_that_may_drop_the_last_good_one_is_an_error) {
    LintInput input = sound();
    input.jobs[0].retention->rules.last_good = 0;
    EXPECT_THAT(rules_of(input), ElementsAre("drops-last-good h.yaml:nightly"));
}

TEST(Lint, windows_longer_than_the_bases_are_kept_are_seen) {
    LintInput input = sound();
    input.sources[0].follow = true;
    input.sources[0].window = 60 * one_day;
    EXPECT_THAT(rules_of(input), ElementsAre("window-beyond-retention h.yaml:db"));
    input.sources[0].window = 30 * one_day;
    EXPECT_THAT(rules_of(input), IsEmpty());
    input.jobs[0].retention->rules = {.last = 10};
    EXPECT_THAT(rules_of(input), ElementsAre("window-beyond-retention h.yaml:db"));
    input.sources[0].follow = false;
    EXPECT_THAT(rules_of(input), ElementsAre("window-without-follow h.yaml:db"));
    input.sources[0].follow = true;
    input.sources[0].window.reset();
    input.jobs[0].retention->rules = {.daily = 7, .window = 8 * one_day};
    EXPECT_THAT(rules_of(input), ElementsAre("window-beyond-retention h.yaml:db"));
    input.jobs[0].retention->rules.window = 7 * one_day;
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, fewer_copies_than_three_two_one_are_counted) {
    LintInput input = sound();
    input.repositories[1].offsite = false;
    EXPECT_THAT(lint(input).at(0).what, HasSubstr("less than 3-2-1: none off-site"));
    input.repositories[1].offsite = true;
    input.repositories[1].site = "dc1";
    EXPECT_THAT(lint(input).at(0).what, HasSubstr("less than 3-2-1: none off-site"));
    input.repositories[1].offsite = false;
    input.repositories[1].medium = "disk";
    EXPECT_THAT(lint(input).at(0).what, HasSubstr("one medium only, none off-site"));
    input.repositories.pop_back();
    input.jobs[0].copies = {};
    EXPECT_THAT(lint(input).at(0).what, HasSubstr("one copy beside the original only, one medium only, none off-site"));
    input.repositories[0].medium = "";
    EXPECT_THAT(lint(input).at(0).fix, HasSubstr("say `site`, `medium` and `offsite: true`"));
}

TEST(Lint, a_replica_counts_as_a_copy) {
    LintInput input = sound();
    input.jobs[0].copies = {};
    EXPECT_THAT(rules_of(input), IsEmpty());
}

TEST(Lint, upkeep_that_nobody_does_is_named) {
    LintInput input = sound();
    input.jobs.pop_back();
    EXPECT_THAT(rules_of(input), ElementsAre("nothing-prunes h.yaml:expire"));
    input.jobs.pop_back();
    EXPECT_THAT(rules_of(input), ElementsAre("nothing-forgets h.yaml:nightly"));
    input.jobs[0].retention.reset();
    EXPECT_THAT(rules_of(input), ElementsAre("no-retention h.yaml:nightly"));
}

TEST(Lint, databases_that_no_source_covers_are_named) {
    LintInput input = sound();
    input.sources[0].databases_left_out = {"billing"};
    EXPECT_THAT(rules_of(input), ElementsAre("database-left-out h.yaml:db"));
}

TEST(Lint, commands_with_secrets_packers_and_false_friends_are_seen) {
    const auto rules = [](LintText::Use use, std::vector<std::string> words) {
        LintInput input = sound();
        input.texts = {{"h.yaml:t", "source `t`", std::move(words), use}};
        return rules_of(input);
    };
    using enum LintText::Use;
    EXPECT_THAT(rules(command, {"curl", "--token", "abc"}), ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(command, {"/bin/sh", "-c", "PGPASSWORD=abc psql"}), ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(command, {"/bin/sh", "-c", "PGPASSWORD=$SECRET psql"}), IsEmpty());
    EXPECT_THAT(rules(command, {"x", "--password-file", "/etc/pass"}), IsEmpty());
    EXPECT_THAT(rules(command, {"/bin/sh", "-c", "curl -H 'Authorization: Bearer abc' https://x/"}),
                ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(command, {"curl", "-H", "X-Api-Key: abc", "https://x/"}),
                ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(command, {"/bin/sh", "-c", "curl -H \"Authorization: Bearer $TOKEN\" https://x/"}), IsEmpty());
    for (const char* line :
         {"mongodump -u backup -p abc", "mongodump -u backup -p 'a b'", "sshpass -pabc ssh x", "mysqldump -pabc shop",
          "redis-cli -h x -a abc --rdb f", "curl -u admin:abc https://x/", "curl --user=admin:abc https://x/"})
        EXPECT_THAT(rules(command, {"/bin/sh", "-c", line}), Contains("secret-in-clear h.yaml:t")) << line;
    for (const char* line : {"mongodump -u backup -p $PASS", "mongodump -p \"$PASS\"", "mysqldump -P3306 -p$PASS shop",
                             "psql -p 5432", "redis-cli -a \"$PASS\" ping", "curl -u admin https://x:80/",
                             "curl -u \"$USER:$PASS\" https://x/", "mongodump -p"})
        EXPECT_THAT(rules(command, {"/bin/sh", "-c", line}), IsEmpty()) << line;
    EXPECT_THAT(rules(text, {"https://x/health?a=b&access_token=abc"}), ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(text, {"https://x/health?key=abc"}), ElementsAre("secret-in-clear h.yaml:t"));
    EXPECT_THAT(rules(text, {"https://x/health?monkey=abc"}), IsEmpty());
    EXPECT_THAT(rules(query, {"select count(*) from t where token = 'x'"}), IsEmpty());
    EXPECT_THAT(rules(captured, {"pg_dump", "-Fc", "shop"}), ElementsAre("compressed-before h.yaml:t"));
    EXPECT_THAT(rules(captured, {"/bin/sh", "-c", "pg_dump shop | /usr/bin/gzip -9"}),
                ElementsAre("compressed-before h.yaml:t"));
    EXPECT_THAT(rules(command, {"gzip", "/x"}), IsEmpty());
    EXPECT_THAT(rules(text, {"s3://b/$(date +%F)/"}), ElementsAre("misleading-command h.yaml:t"));
    EXPECT_THAT(rules(query, {"VACUUM  full users"}), ElementsAre("misleading-command h.yaml:t"));
    EXPECT_THAT(rules(query, {"delete from users"}), ElementsAre("misleading-command h.yaml:t"));
    EXPECT_THAT(rules(query, {"select * from updates"}), IsEmpty());
    EXPECT_THAT(rules(command, {"redis-cli", "-h", "x", "--rdb", "d.rdb"}), ElementsAre("misleading-command h.yaml:t"));
    EXPECT_THAT(rules(command, {"/bin/sh", "-c", "ls /backups | tail -1"}), ElementsAre("misleading-command h.yaml:t"));
}

TEST(Lint, errors_come_first) {
    LintInput input = sound();
    input.jobs[0].retention.reset();
    input.jobs[1].schedule = Schedule::parse("0 6 30 2 *");
    const auto found = lint(input);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].severity, Severity::error);
    EXPECT_EQ(found[1].severity, Severity::warning);
}

}  // namespace
}  // namespace holdfast::policy
