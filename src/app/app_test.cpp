#include "app/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "app/json.h"
#include "app/version.h"
#include "base/file.h"

namespace holdfast::app {
namespace {

using testing::HasSubstr;

struct Ended {
    int exit;
    std::string out;
    std::string err;
};

// Works in a home of its own, so that no configuration of the machine's user is found.
class AppTest : public testing::Test {
protected:
    AppTest() {
        for (const char* name :
             {"HOLDFAST_CONFIG", "HOLDFAST_REPO", "HOLDFAST_PASSWORD", "HOLDFAST_PASSWORD_FILE", "HOLDFAST_KEY_FILE"})
            unsetenv(name);
        if (const char* before = std::getenv("HOME")) home_before_ = before;
        setenv("HOME", folder_.path().c_str(), 1);
        setenv("HOLDFAST_CONFIG", config_path().c_str(), 1);
        write_config("version: 1\n");
    }
    ~AppTest() override {
        unsetenv("HOLDFAST_CONFIG");
        setenv("HOME", home_before_.c_str(), 1);
    }

    static Ended run(std::vector<std::string> words) {
        words.insert(words.begin(), "holdfast");
        testing::internal::CaptureStdout();
        testing::internal::CaptureStderr();
        const int exit = app::run(words);
        return {exit, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
    }
    std::string config_path() const { return folder_.path() + "/holdfast.yaml"; }
    void write_config(const std::string& text) const { write_file_durably(config_path(), as_bytes(text)); }
    const std::string& folder() const { return folder_.path(); }

private:
    TemporaryFolder folder_;
    std::string home_before_;
};

TEST_F(AppTest, help_is_no_error_and_nothing_is) {
    EXPECT_EQ(run({"--help"}).exit, 0);
    EXPECT_THAT(run({"backup", "--help"}).out, HasSubstr("Usage: holdfast backup"));
    const Ended bare = run({});
    EXPECT_EQ(bare.exit, 2);
    EXPECT_THAT(bare.out, HasSubstr("Exit status"));
}

TEST_F(AppTest, the_version_is_the_project_s) {
    EXPECT_EQ(run({"version"}).out, fmt::format("holdfast {}\n", version));
    EXPECT_EQ(run({"--version"}).out, fmt::format("holdfast {}\n", version));
    EXPECT_EQ(Json::parse(run({"version", "--json"}).out),
              Json({{"schema", "holdfast.version/1"}, {"version", version}}));
}

TEST_F(AppTest, usage_errors_exit_with_2_also_as_json) {
    const Ended text = run({"bakcup"});
    EXPECT_EQ(text.exit, 2);
    EXPECT_EQ(text.out, "");
    EXPECT_EQ(text.err, "holdfast: usage: there is no verb `bakcup`\n  hint: Did you mean `holdfast backup`?\n");
    const Json json = Json::parse(run({"--json", "bakcup"}).err);
    EXPECT_EQ(json["type"], "error");
    EXPECT_EQ(json["code"], "usage");
    EXPECT_EQ(json["exit"], 2);
    EXPECT_EQ(run({"snapshots", "-q", "-v"}).exit, 2);
    EXPECT_EQ(run({"restore", "latest"}).exit, 2);
    EXPECT_EQ(run({"restore", "latest", "--to", "/x", "--in-place", "--overwrite"}).exit, 2);
    EXPECT_EQ(run({"check", "--read-data=0%"}).exit, 2);
    EXPECT_EQ(run({"check", "--read-data=much"}).exit, 2);
    EXPECT_EQ(run({"prune", "--max-unused", "101%"}).exit, 2);
    EXPECT_EQ(run({"backup", "files:/etc", "--tag", "x"}).exit, 2);
    EXPECT_EQ(run({"backup", "files:/etc", "--exclude-larger", "big"}).exit, 2);
}

TEST_F(AppTest, no_repository_named_says_how_to_name_one) {
    const Ended ended = run({"snapshots"});
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, HasSubstr("no repository is named"));
    EXPECT_THAT(ended.err, HasSubstr("-r PATH"));
}

TEST_F(AppTest, no_repository_there_is_10_before_anybody_is_asked) {
    EXPECT_EQ(run({"-r", folder() + "/none", "snapshots"}).exit, 10);
    EXPECT_EQ(run({"-r", folder(), "snapshots"}).exit, 10);
    setenv("HOLDFAST_REPO", (folder() + "/none").c_str(), 1);
    EXPECT_EQ(run({"snapshots"}).exit, 10);
    unsetenv("HOLDFAST_REPO");
}

TEST_F(AppTest, repositories_are_found_by_their_names) {
    write_config("version: 1\nrepositories:\n  main: {url: " + folder() + "/a}\n  offsite: {url: " + folder() +
                 "/b}\n");
    const Ended several = run({"snapshots"});
    EXPECT_EQ(several.exit, 2);
    EXPECT_THAT(several.err, HasSubstr("2 repositories: main, offsite"));
    EXPECT_THAT(run({"-r", "main", "snapshots"}).err, HasSubstr(folder() + "/a"));
    const Ended near = run({"-r", "ofsite", "snapshots"});
    EXPECT_EQ(near.exit, 10);
    EXPECT_THAT(near.err, HasSubstr("Did you mean `offsite`?"));
    EXPECT_EQ(run({"-r", "s3:///x", "snapshots"}).exit, 2);
}

TEST_F(AppTest, config_check_prints_every_error_and_exits_with_2) {
    EXPECT_EQ(run({"config", "check"}).out, "ok: " + config_path() + ", 0 repositories, 0 sources, 0 jobs\n");
    write_config(
        "version: 1\nsurces: {}\nnotify: {}\nrepositories: {m: {url: /x, unlock: {passphrase: "
        "\"env:HF_TEST_UNSET\"}}}\n");
    const Ended ended = run({"config", "check"});
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, HasSubstr("holdfast.yaml:2:1: the configuration has no key `surces`"));
    EXPECT_THAT(
        ended.err,
        HasSubstr("holdfast.yaml:3:1: `notify` is part of holdfast's design but this version does not build it yet"));
    EXPECT_THAT(ended.err,
                HasSubstr(":4:50: `passphrase` of repository `m`: environment variable HF_TEST_UNSET is not set"));
    const Ended json = run({"config", "check", "--json"});
    EXPECT_EQ(json.exit, 2);
    EXPECT_EQ(Json::parse(json.out)["errors"].size(), 3U);
    EXPECT_EQ(Json::parse(json.out)["ok"], false);
    EXPECT_EQ(run({"-c", folder() + "/none.yaml", "config", "check"}).exit, 2);
}

TEST_F(AppTest, another_verb_stops_at_the_first_error_of_the_configuration) {
    write_config("version: 1\nsurces: {}\nnotify: {}\n");
    const Ended ended = run({"backup", "uploads"});
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, HasSubstr("holdfast.yaml:2:1: the configuration has no key `surces`"));
    EXPECT_THAT(ended.err, HasSubstr("`holdfast config check` lists 1 more"));
}

TEST_F(AppTest, a_key_file_is_made_once_and_for_its_owner) {
    const std::string path = folder() + "/key";
    EXPECT_EQ(run({"key", "generate", path}).exit, 0);
    EXPECT_EQ(read_file(path).size(), 65U);
    EXPECT_EQ(std::filesystem::status(path).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const Ended again = run({"key", "generate", path});
    EXPECT_EQ(again.exit, 1);
    EXPECT_THAT(again.err, HasSubstr("already_exists"));
}

}  // namespace
}  // namespace holdfast::app
