#include "app/backup_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/test_types.h"
#include "base/error.h"

namespace holdfast::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class BackupSourcesTest : public testing::Test {
protected:
    BackupSourcesTest() {
        request.host = "web1";
        config.path = "h.yaml";
        config.sources = {{"uploads", "files", {{"paths", {"/srv/uploads"}}, {"exclude", {"*.tmp"}}}, "h.yaml:2:1"},
                          {"compose", "command", {{"run", {"docker", "compose", "config"}}}, "h.yaml:3:1"}};
    }

    std::vector<std::string> names() {
        made_ = make();
        std::vector<std::string> out;
        for (const auto& source : made_) out.push_back(source->name());
        return out;
    }
    std::vector<std::unique_ptr<Source>> make() {
        return make_sources(request, test_types::all, [&]() -> const Config& {
            config_was_read = true;
            return config;
        });
    }
    const SourceOptions& options(std::size_t i) const {
        return dynamic_cast<const test_types::NamedSource&>(*made_[i]).options;
    }
    Error error() {
        try {
            make();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::usage);
            return error;
        }
        ADD_FAILURE() << "no error";
        return Error{Code::internal, "none"};
    }

    SourceRequest request;
    Config config;
    bool config_was_read = false;

private:
    std::vector<std::unique_ptr<Source>> made_;
};

TEST_F(BackupSourcesTest, a_folder_is_named_by_its_path_and_host) {
    request.words = {"files:/etc/", "files:/srv/../home"};
    EXPECT_THAT(names(), ElementsAre("files:/etc@web1", "files:/home@web1"));
    EXPECT_THAT(options(0).at("argument"), ElementsAre("/etc"));
    EXPECT_FALSE(config_was_read);
}

TEST_F(BackupSourcesTest, a_relative_path_is_made_absolute) {
    request.words = {"files:x"};
    char here[4096];
    ASSERT_NE(getcwd(here, sizeof here), nullptr);
    EXPECT_THAT(names(), ElementsAre(std::string("files:") + here + "/x@web1"));
}

TEST_F(BackupSourcesTest, names_come_from_the_configuration) {
    request.words = {"compose", "uploads"};
    EXPECT_THAT(names(), ElementsAre("compose", "uploads"));
    EXPECT_THAT(options(0).at("run"), ElementsAre("docker", "compose", "config"));
    request.words = {};
    request.all = true;
    EXPECT_THAT(names(), ElementsAre("uploads", "compose"));
    request.words = {"uploads"};
    EXPECT_THAT(error().message(), HasSubstr("--all"));
}

TEST_F(BackupSourcesTest, options_reach_only_the_kinds_that_know_them) {
    request.words = {"files:/etc", "uploads", "compose"};
    request.options = {{"exclude", {"*.o"}}, {"exclude_caches", {"true"}}, {"timeout", {}}};
    names();
    EXPECT_THAT(options(0).at("exclude"), ElementsAre("*.o"));
    EXPECT_THAT(options(1).at("exclude"), ElementsAre("*.tmp", "*.o"));
    EXPECT_THAT(options(2).at("exclude_caches"), ElementsAre("true"));
    EXPECT_FALSE(options(2).contains("exclude"));
    EXPECT_FALSE(options(2).contains("timeout"));
}

TEST_F(BackupSourcesTest, a_command_takes_what_follows_the_dashes) {
    request.words = {"files:/etc", "command:orders.sql"};
    request.command_line = {"pg_dump", "orders"};
    EXPECT_THAT(names(), ElementsAre("files:/etc@web1", "command:orders.sql@web1"));
    EXPECT_THAT(options(1).at("run"), ElementsAre("pg_dump", "orders"));
    EXPECT_THAT(options(1).at("argument"), ElementsAre("orders.sql"));
    request.words = {"command:a", "command:b"};
    EXPECT_THAT(error().message(), HasSubstr("only one `command:`"));
    request.words = {"files:/etc"};
    EXPECT_THAT(error().message(), HasSubstr("no `command:NAME` takes it"));
}

TEST_F(BackupSourcesTest, a_command_without_a_command_is_refused_with_the_two_ways) {
    request.words = {"command:x"};
    const Error found = error();
    EXPECT_EQ(found.message(), "`command:x` lacks its command");
    EXPECT_THAT(found.hint(), HasSubstr("command:x -- COMMAND"));
    EXPECT_THAT(found.hint(), HasSubstr("command:x -`"));
}

TEST_F(BackupSourcesTest, one_source_may_read_standard_input) {
    request.words = {"command:x", "-", "files:/etc"};
    EXPECT_THAT(names(), ElementsAre("command:x@web1", "files:/etc@web1"));
    EXPECT_THAT(options(0).at("run"), ElementsAre("-"));
    request.words = {"command:x", "-", "command:y", "-"};
    EXPECT_THAT(error().message(), HasSubstr("only one source can read standard input"));
    request.words = {"files:/etc", "-"};
    EXPECT_THAT(error().message(), HasSubstr("does not read standard input"));
    request.words = {"uploads", "-"};
    EXPECT_THAT(error().message(), HasSubstr("does not read standard input"));
    request.words = {"-"};
    EXPECT_THAT(error().message(), HasSubstr("follows a `command:NAME`"));
}

TEST_F(BackupSourcesTest, name_goes_with_one_described_source) {
    request.name = "etc";
    request.words = {"files:/etc"};
    EXPECT_THAT(names(), ElementsAre("etc"));
    request.words = {"files:/etc", "files:/home"};
    EXPECT_THAT(error().message(), HasSubstr("--name"));
    request.words = {"uploads"};
    EXPECT_THAT(error().message(), HasSubstr("--name"));
}

TEST_F(BackupSourcesTest, what_is_unknown_gets_a_hint) {
    request.words = {"uplaods"};
    EXPECT_EQ(error().hint(), "Did you mean `uploads`?");
    request.words = {"xyzzy"};
    EXPECT_THAT(error().hint(), HasSubstr("The configuration has: uploads, compose."));
    config.sources.clear();
    EXPECT_EQ(error().hint(), "For a folder write `files:xyzzy`.");
    request.words = {"file:/etc"};
    EXPECT_EQ(error().hint(), "There is files: and command:.");
    request.words = {"kubernetes:prod"};
    EXPECT_THAT(error().message(), HasSubstr("this version does not build them yet"));
    request.words = {"files:"};
    EXPECT_THAT(error().message(), HasSubstr("lacks what comes after the colon"));
}

TEST_F(BackupSourcesTest, nothing_named_lists_what_there_is) {
    EXPECT_EQ(error().hint(), "The configuration has: uploads, compose. `--all` takes them all.");
    config.sources.clear();
    EXPECT_THAT(error().hint(), HasSubstr("files:/etc"));
    request.all = true;
    EXPECT_THAT(error().message(), HasSubstr("names no sources"));
}

TEST(BackupSources, the_command_line_offers_each_option_once) {
    std::vector<std::string_view> names;
    for (const SourceOption& option : command_line_options(test_types::all)) names.push_back(option.name);
    EXPECT_THAT(names, ElementsAre("exclude", "exclude_caches", "exclude_larger", "timeout"));
}

}  // namespace
}  // namespace holdfast::app
