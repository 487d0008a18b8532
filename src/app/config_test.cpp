#include "app/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/json.h"
#include "app/test_types.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ParsedConfig parsed(std::string_view text) { return parse_config(text, "/etc/h.yaml", test_types::all); }

// "LINE:COLUMN text | hint" of every problem.
std::vector<std::string> problems(std::string_view text) {
    std::vector<std::string> out;
    for (const ConfigProblem& each : parsed(text).problems)
        out.push_back(
            fmt::format("{}:{} {}{}", each.line, each.column, each.text, each.hint.empty() ? "" : " | " + each.hint));
    return out;
}

TEST(Config, a_right_file_is_understood) {
    const ParsedConfig result = parsed(R"(version: 1
repositories:
  main: {url: /var/backups, unlock: {passphrase: "env:PASS"}}
  usb:  {url: usb/repo, unlock: {keyfile: "file:usb.key"}}
sources:
  uploads: {kind: files, paths: [/srv/uploads, "/srv/with space"], exclude: ["*.tmp"], exclude_caches: yes, exclude_larger: 10M}
  compose: {kind: command, run: [docker, compose, config], timeout: 5m}
)");
    EXPECT_TRUE(result.problems.empty());
    const Config& config = result.config;
    ASSERT_EQ(config.repositories.size(), 2U);
    EXPECT_EQ(config.repository("main")->url, "/var/backups");
    EXPECT_EQ(config.repository("main")->unlock->way, repo::Unlock::Way::passphrase);
    EXPECT_EQ(config.repository("main")->unlock->secret.kind, SecretReference::Kind::environment);
    EXPECT_EQ(config.repository("main")->unlock->secret.text, "PASS");
    EXPECT_EQ(config.repository("usb")->unlock->way, repo::Unlock::Way::keyfile);
    EXPECT_EQ(config.repository("nothing"), nullptr);
    ASSERT_EQ(config.sources.size(), 2U);
    const SourceConfig& uploads = *config.source("uploads");
    EXPECT_EQ(uploads.kind, "files");
    EXPECT_THAT(uploads.options.at("paths"), ElementsAre("/srv/uploads", "/srv/with space"));
    EXPECT_THAT(uploads.options.at("exclude_caches"), ElementsAre("true"));
    EXPECT_THAT(uploads.options.at("exclude_larger"), ElementsAre("10M"));
    EXPECT_EQ(uploads.where, "/etc/h.yaml:6:3");
    EXPECT_THAT(config.source("compose")->options.at("run"), ElementsAre("docker", "compose", "config"));
}

TEST(Config, relative_paths_begin_at_the_folder_of_the_file) {
    const ParsedConfig result =
        parsed("version: 1\nrepositories: {usb: {url: usb/repo, unlock: {keyfile: \"file:usb.key\"}}}\n");
    EXPECT_EQ(result.config.repository("usb")->url, "/etc/usb/repo");
    EXPECT_EQ(result.config.repository("usb")->unlock->secret.text, "/etc/usb.key");
    const ParsedConfig paths = parsed("version: 1\nsources: {a: {kind: files, paths: [x, /y], exclude: [z]}}\n");
    EXPECT_THAT(paths.config.source("a")->options.at("paths"), ElementsAre("/etc/x", "/y"));
    EXPECT_THAT(paths.config.source("a")->options.at("exclude"), ElementsAre("z"));
    const ParsedConfig here = parse_config("version: 1\nrepositories: {a: {url: repo}}\n", "h.yaml", test_types::all);
    EXPECT_EQ(here.config.repository("a")->url, "repo");
}

TEST(Config, unknown_keys_name_the_nearest_right_one) {
    EXPECT_THAT(problems("version: 1\nsurces: {}\n"),
                ElementsAre("2:1 the configuration has no key `surces` | Did you mean `sources`?"));
    EXPECT_THAT(problems("version: 1\nrepositories:\n  main: {ulr: /x}\n"),
                ElementsAre("3:3 repository `main` has no `url` | A folder's path is a `url` too.",
                            "3:10 repository `main` has no key `ulr` | Did you mean `url`?"));
    EXPECT_THAT(problems("version: 1\nsources:\n  a: {kind: files, paths: [/x], exclude-caches: true}\n"),
                ElementsAre("3:33 source `a` has no key `exclude-caches` | Did you mean `exclude_caches`?"));
    EXPECT_THAT(problems("version: 1\nsources:\n  a: {kind: files, paths: [/x], zzz: true}\n"),
                ElementsAre("3:33 source `a` has no key `zzz` | There is `kind`, `paths`, `exclude`, "
                            "`exclude_caches`, `exclude_larger`, `component`, `checks`, "
                            "`hooks`, `objectives`, `criticality`, `domain`."));
}

TEST(Config, keys_of_the_design_are_refused_as_not_built_yet) {
    const std::string_view words = "is part of holdfast's design but this version does not build it yet";
    for (const char* key : {"services", "contacts", "escalation", "notify", "plans"}) {
        const auto found = problems(fmt::format("version: 1\n{}: {{}}\n", key));
        ASSERT_EQ(found.size(), 1U) << key;
        EXPECT_THAT(found[0], testing::StartsWith(fmt::format("2:1 `{}` {}", key, words)));
    }
    for (const char* key : {"lock", "storage"})
        EXPECT_THAT(problems(fmt::format("version: 1\nrepositories: {{m: {{url: /x, {}: y}}}}\n", key)),
                    ElementsAre(HasSubstr(words)))
            << key;
    for (const char* key : {"method", "canary", "namespaces"})
        EXPECT_THAT(problems(fmt::format("version: 1\nsources: {{m: {{kind: files, paths: [/x], {}: y}}}}\n", key)),
                    ElementsAre(HasSubstr(words)))
            << key;
    EXPECT_THAT(problems("version: 1\nservice: {listen: \"127.0.0.1:8480\"}\n"), ElementsAre(HasSubstr(words)));
}

TEST(Config, a_source_says_how_bad_it_is_to_lose_it_and_its_jobs_know) {
    const ParsedConfig result = parsed(
        "version: 1\nsources:\n  a: {kind: files, paths: [/a]}\n  b: {kind: files, paths: [/b], criticality: "
        "critical}\n"
        "  c: {kind: files, paths: [/c], criticality: low}\n"
        "jobs: {one: {sources: [a, b]}, two: {sources: [c]}, three: {sources: [a, c]}, all: {prove: {}}}\n");
    ASSERT_TRUE(result.problems.empty());
    using enum policy::Criticality;
    EXPECT_EQ(result.config.source("a")->criticality, normal);
    EXPECT_EQ(result.config.source("b")->criticality, critical);
    EXPECT_EQ(result.config.job("one")->criticality, critical);
    EXPECT_EQ(result.config.job("two")->criticality, low);
    EXPECT_EQ(result.config.job("three")->criticality, normal);
    EXPECT_EQ(result.config.job("all")->criticality, critical);
    EXPECT_THAT(problems("version: 1\nsources: {m: {kind: files, paths: [/x], criticality: hihg}}\n"),
                ElementsAre(HasSubstr("Did you mean `high`?")));
}

TEST(Config, a_repository_is_unlocked_by_a_passphrase_a_key_file_or_a_credential) {
    const auto unlock = [](const std::string& way) {
        return *parsed(fmt::format("version: 1\nrepositories: {{m: {{url: /x, unlock: {{{}: \"file:/k\"}}}}}}\n", way))
                    .config.repository("m")
                    ->unlock;
    };
    EXPECT_EQ(unlock("passphrase").way, repo::Unlock::Way::passphrase);
    EXPECT_EQ(unlock("keyfile").way, repo::Unlock::Way::keyfile);
    EXPECT_FALSE(unlock("keyfile").is_credential);
    EXPECT_EQ(unlock("credential").way, repo::Unlock::Way::keyfile);
    EXPECT_TRUE(unlock("credential").is_credential);
}

TEST(Config, checks_and_hooks_are_read) {
    const ParsedConfig result = parsed(
        "version: 1\nsources: {m: {kind: files, paths: [/x], checks: [{exec: [a, b], timeout: 2m}], "
        "hooks: {before: [\"x | y\"], after: [[z, 1]]}}}\n");
    ASSERT_TRUE(result.problems.empty());
    const SourceConfig& source = *result.config.source("m");
    ASSERT_EQ(source.checks.size(), 1U);
    EXPECT_THAT(source.checks[0].exec, ElementsAre("a", "b"));
    EXPECT_EQ(source.checks[0].timeout, 120 * one_second);
    EXPECT_THAT(source.hooks.before[0].argv, ElementsAre("/bin/sh", "-c", "x | y"));
    EXPECT_THAT(source.hooks.after[0].argv, ElementsAre("z", "1"));
}

TEST(Config, kinds_of_the_design_are_refused_once_whatever_their_keys) {
    EXPECT_THAT(problems("version: 1\nsources:\n  db: {kind: kubernetes, url: \"env:X\", anything: 1}\n"),
                ElementsAre(HasSubstr(
                    "3:14 kind `kubernetes` is part of holdfast's design but this version does not build it yet")));
    EXPECT_THAT(problems("version: 1\nsources:\n  db: {kind: flies}\n"),
                ElementsAre("3:14 there is no kind `flies` of sources | Did you mean `files`?"));
    EXPECT_THAT(problems("version: 1\nsources:\n  db: {paths: [/x]}\n"),
                ElementsAre("3:3 source `db` has no `kind` | There is `files`, `command`."));
}

TEST(Config, wrong_types_say_what_is_there_and_what_should_be) {
    EXPECT_THAT(problems("version: 1\nsources: [a]\n"),
                ElementsAre("2:10 `sources` must be a map of names, not a list"));
    EXPECT_THAT(problems("version: 1\nsources:\n  a: x\n"),
                ElementsAre(HasSubstr("3:6 source `a` must be a map, not `x`")));
    EXPECT_THAT(problems("version: 1\nsources:\n  a:\n"),
                ElementsAre(HasSubstr("3:3 source `a` must be a map, not nothing")));
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: files, paths: /x}}\n"),
                ElementsAre(HasSubstr("`paths` of source `a` must be a list, not `/x`")));
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: files, paths: [[/x]]}}\n"),
                ElementsAre(HasSubstr("must be a text, not a list")));
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: files, paths: [/x], exclude_caches: often}}\n"),
                ElementsAre(HasSubstr("must be true or false, not `often`")));
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: files, paths: [/x], exclude_larger: big}}\n"),
                ElementsAre(HasSubstr("must be a size, not `big`")));
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: command, run: [x], timeout: 5}}\n"),
                ElementsAre(HasSubstr("must be a duration, not `5`")));
    EXPECT_THAT(problems("version: 1\nrepositories: {m: {url: [/x]}}\n"),
                ElementsAre(HasSubstr("`url` of repository `m` must be a text, not a list")));
    EXPECT_THAT(problems("- a\n"), ElementsAre(HasSubstr("1:1 the configuration must be a map")));
    EXPECT_THAT(problems(""), ElementsAre(HasSubstr("the configuration must be a map")));
}

TEST(Config, the_version_must_be_there_and_known) {
    EXPECT_THAT(problems("sources: {}\n"), ElementsAre("1:1 `version` is missing | Begin the file with `version: 1`."));
    EXPECT_THAT(problems("version: 2\n"), ElementsAre(HasSubstr("this is a configuration of version 2")));
    EXPECT_THAT(problems("version: one\n"), ElementsAre("1:10 `version` must be 1, not `one`"));
}

TEST(Config, what_stands_twice_is_an_error) {
    EXPECT_THAT(problems("version: 1\nversion: 1\n"),
                ElementsAre(HasSubstr("2:1 `version` stands twice in the configuration")));
    EXPECT_THAT(problems("version: 1\nsources:\n  a: {kind: files, paths: [/x]}\n  a: {kind: files, paths: [/y]}\n"),
                ElementsAre(HasSubstr("4:3 `a` stands twice in `sources`")));
    EXPECT_THAT(problems("version: 1\nrepositories: {m: {url: /x, unlock: {passphrase: \"env:A\", keyfile: "
                         "\"file:/b\"}}}\n"),
                ElementsAre(HasSubstr("has more than one way")));
}

TEST(Config, names_cannot_be_mistaken_for_something_else) {
    for (const char* name : {"\"a b\"", "\"files:/etc\"", "-x", "\"\"", "a@b"})
        EXPECT_THAT(problems(fmt::format("version: 1\nsources: {{{}: {{kind: files, paths: [/x]}}}}\n", name)),
                    ElementsAre(HasSubstr("a name in `sources`")))
            << name;
}

TEST(Config, secrets_stand_there_by_reference_only_and_are_not_repeated) {
    const auto found = problems("version: 1\nrepositories: {m: {url: /x, unlock: {passphrase: hunter2}}}\n");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_THAT(found[0], HasSubstr("2:50 `passphrase` of repository `m` must be a reference to a secret"));
    EXPECT_EQ(found[0].find("hunter2"), std::string::npos);
    const auto url = problems("version: 1\nrepositories: {m: {url: \"https://ann:hunter2@host/x\"}}\n");
    ASSERT_EQ(url.size(), 1U);
    EXPECT_THAT(url[0], HasSubstr("is a URL with a password in it"));
    EXPECT_EQ(url[0].find("hunter2"), std::string::npos);
    EXPECT_THAT(problems("version: 1\nsources: {a: {kind: command, run: [curl, \"ftp://a:b@c/\"]}}\n"),
                ElementsAre(HasSubstr("URL with a password")));
}

TEST(Config, the_rules_of_a_source_count_as_errors_of_the_file) {
    EXPECT_THAT(problems("version: 1\nsources:\n  a: {kind: files}\n"),
                ElementsAre("3:3 source `a`: source a has no paths | Name what to back up."));
}

TEST(Config, all_problems_are_found_in_the_order_of_the_file) {
    EXPECT_THAT(
        problems("version: 1\nsources:\n  a: {kind: files, pats: [/x], exclude: 3}\nrepositories:\n  "
                 "m: {uri: /x}\nplans: {}\n"),
        ElementsAre(HasSubstr("3:20"), HasSubstr("3:41"), HasSubstr("5:3"), HasSubstr("5:7"), HasSubstr("6:1")));
}

TEST(Config, what_is_not_yaml_is_said_with_its_place) {
    const auto found = problems("version: 1\nsources: {a: [\n");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_THAT(found[0], HasSubstr("this is not YAML"));
    EXPECT_THAT(found[0], testing::MatchesRegex("[23]:.*"));
}

TEST(Config, loading_throws_the_first_problem_and_counts_the_rest) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/h.yaml";
    write_file_durably(path, as_bytes("version: 1\nsurces: {}\nnotify: {}\nplans: {}\n"));
    try {
        load_config(path, test_types::all);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::config);
        EXPECT_EQ(error.message(), path + ":2:1: the configuration has no key `surces`");
        EXPECT_EQ(error.hint(), "Did you mean `sources`? `holdfast config check` lists 2 more.");
    }
    try {
        load_config(folder.path() + "/none.yaml", test_types::all);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::config);
        EXPECT_THAT(error.message(), HasSubstr("none.yaml: no such file or directory"));
    }
}

TEST(Config, the_schema_is_json_and_knows_every_option) {
    const Json schema = Json::parse(config_schema(test_types::all));
    const Json& kinds = schema["properties"]["sources"]["additionalProperties"]["oneOf"];
    ASSERT_EQ(kinds.size(), 2U);
    EXPECT_EQ(kinds[0]["properties"]["kind"]["const"], "files");
    EXPECT_EQ(kinds[0]["properties"]["exclude"]["type"], "array");
    EXPECT_EQ(kinds[0]["properties"]["exclude_caches"]["type"], "boolean");
    EXPECT_EQ(kinds[1]["properties"]["timeout"]["type"], "string");
    EXPECT_EQ(schema["required"], Json({"version"}));
}

}  // namespace
}  // namespace holdfast::app
