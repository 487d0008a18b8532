#include "app/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ParseTest : public testing::Test {
protected:
    ParseTest() : options_(global_options(globals)) {
        Command take;
        take.name = "take";
        take.takes_command_line = true;
        take.options.words(words, "SOURCE", "");
        take.options.list(tags, "-t,--tag", "K=V", "");
        take.options.flag(dry_run, "-n,--dry-run", "");
        take.options.optional_value(read, "--read", "5G", "");
        take.options.number(count, "--count", "N", "");
        take.options.duration(within, "--within", "TIME", "");
        commands_.push_back(std::move(take));
        Command look;
        look.name = "look";
        look.options.word(first, "A", "").required = true;
        look.options.word(second, "B", "");
        commands_.push_back(std::move(look));
        for (const char* name : {"key add", "key list"}) {
            Command key;
            key.name = name;
            key.options.value(label, "--label", "TEXT", "");
            commands_.push_back(std::move(key));
        }
    }

    Call run(const std::vector<std::string>& words_given) { return parse(commands_, options_, words_given); }
    Error error_of(const std::vector<std::string>& words_given) {
        try {
            run(words_given);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Code::usage);
            return error;
        }
        ADD_FAILURE() << "no error for " << join(words_given, " ");
        return Error{Code::internal, "none"};
    }

    Globals globals;
    std::vector<std::string> words;
    std::vector<std::string> tags;
    std::optional<std::string> read;
    std::optional<Nanoseconds> within;
    std::string first;
    std::string second;
    std::string label;
    std::uint32_t count = 0;
    bool dry_run = false;

private:
    Options options_;
    std::vector<Command> commands_;
};

TEST_F(ParseTest, global_options_stand_before_or_after_the_verb) {
    EXPECT_EQ(run({"-r", "/a", "take", "x", "--json", "-q"}).command->name, "take");
    EXPECT_EQ(globals.repository, "/a");
    EXPECT_TRUE(globals.json);
    EXPECT_TRUE(globals.quiet);
    EXPECT_FALSE(globals.verbose);
    EXPECT_THAT(words, ElementsAre("x"));
}

TEST_F(ParseTest, the_value_of_a_global_option_is_no_verb) {
    EXPECT_EQ(run({"-r", "look", "-c", "take", "key", "list"}).command->name, "key list");
    EXPECT_EQ(globals.repository, "look");
    EXPECT_EQ(globals.config, "take");
    EXPECT_EQ(run({"-qr", "/x", "--config=look", "key", "list"}).command->name, "key list");
    EXPECT_EQ(globals.repository, "/x");
    EXPECT_EQ(run({"-r/y", "key", "list"}).command->name, "key list");
    EXPECT_EQ(globals.repository, "/y");
}

TEST_F(ParseTest, sub_verbs_take_global_options_anywhere) {
    EXPECT_EQ(run({"key", "add", "--label", "x", "-r", "/a", "--yes"}).command->name, "key add");
    EXPECT_EQ(label, "x");
    EXPECT_TRUE(globals.yes);
    EXPECT_EQ(run({"key", "-r", "/b", "list"}).command->name, "key list");
    EXPECT_EQ(globals.repository, "/b");
}

TEST_F(ParseTest, a_repeated_option_does_not_swallow_words) {
    run({"take", "--tag", "a=1", "one", "-t", "b=[2,3]", "two"});
    EXPECT_THAT(tags, ElementsAre("a=1", "b=[2,3]"));
    EXPECT_THAT(words, ElementsAre("one", "two"));
}

TEST_F(ParseTest, words_are_taken_as_they_are) {
    run({"take", "[ab]", "command:x", "-", "take", "look", "a=b", "{x}"});
    EXPECT_THAT(words, ElementsAre("[ab]", "command:x", "-", "take", "look", "a=b", "{x}"));
}

TEST_F(ParseTest, what_follows_two_dashes_belongs_to_the_command) {
    const Call call = run({"take", "command:x", "-n", "--", "pg_dump", "--json", "-r", "--", "x"});
    EXPECT_THAT(call.command_line, ElementsAre("pg_dump", "--json", "-r", "--", "x"));
    EXPECT_THAT(words, ElementsAre("command:x"));
    EXPECT_TRUE(dry_run);
    EXPECT_FALSE(globals.json);
}

TEST_F(ParseTest, two_dashes_let_a_word_begin_with_a_dash) {
    const Call call = run({"look", "--", "-x", "--json"});
    EXPECT_EQ(first, "-x");
    EXPECT_EQ(second, "--json");
    EXPECT_TRUE(call.command_line.empty());
}

TEST_F(ParseTest, a_value_may_be_left_out_where_that_means_something) {
    run({"take"});
    EXPECT_FALSE(read);
    run({"take", "--read"});
    EXPECT_EQ(read, "");
    run({"take", "--read=10%"});
    EXPECT_EQ(read, "10%");
    run({"take", "--read", "-n"});
    EXPECT_EQ(read, "");
}

TEST_F(ParseTest, numbers_and_durations_are_checked) {
    run({"take", "--count", "12", "--within", "30d"});
    EXPECT_EQ(count, 12U);
    EXPECT_EQ(within, parse_duration("30d"));
    EXPECT_EQ(error_of({"take", "--count", "-1"}).message(), "--count needs a whole number, not `-1`");
    EXPECT_EQ(error_of({"take", "--count", "1x"}).message(), "--count needs a whole number, not `1x`");
    EXPECT_EQ(error_of({"take", "--count", "4294967296"}).message(), "--count needs a whole number, not `4294967296`");
    EXPECT_THAT(error_of({"take", "--within", "30"}).hint(), HasSubstr("30d"));
}

TEST_F(ParseTest, an_unknown_verb_names_the_nearest) {
    EXPECT_EQ(error_of({"tkae"}).hint(), "Did you mean `holdfast take`?");
    EXPECT_EQ(error_of({"-r", "/x", "kye"}).hint(), "Did you mean `holdfast key`?");
    EXPECT_EQ(error_of({"xyzzy"}).message(), "there is no verb `xyzzy`");
    EXPECT_EQ(error_of({"key"}).message(), "`key` needs to know what to do: add, list");
    EXPECT_EQ(error_of({"key", "lsit"}).hint(), "Did you mean `holdfast key list`?");
    EXPECT_EQ(error_of({"-r", "/x"}).message(), "a verb is missing");
}

TEST_F(ParseTest, a_verb_of_the_design_is_not_called_unknown) {
    EXPECT_EQ(error_of({"audit"}).message(),
              "`audit` is part of holdfast's design but this version does not build it yet");
}

TEST_F(ParseTest, an_unknown_option_names_the_nearest) {
    EXPECT_EQ(error_of({"take", "--dry-rnu"}).message(), "`take` has no option --dry-rnu");
    EXPECT_EQ(error_of({"take", "--dry-rnu"}).hint(), "Did you mean --dry-run?");
    EXPECT_EQ(error_of({"take", "--repo=/x"}).hint(), "Did you mean --repository?");
    EXPECT_EQ(error_of({"take", "-Z"}).message(), "`take` has no option -Z");
    EXPECT_EQ(error_of({"key", "add", "--lable", "x"}).hint(), "Did you mean --label?");
}

TEST_F(ParseTest, missing_and_superfluous_words_are_errors) {
    EXPECT_THAT(error_of({"look"}).message(), HasSubstr("`look` lacks an argument: A"));
    EXPECT_THAT(error_of({"look", "a", "b", "c"}).message(), HasSubstr("too many arguments"));
    EXPECT_THAT(error_of({"take", "--tag"}).message(), HasSubstr("--tag"));
    EXPECT_THAT(error_of({"take", "--count", "1", "--count", "2"}).message(), HasSubstr("--count"));
}

TEST_F(ParseTest, help_is_known_wherever_it_stands) {
    EXPECT_EQ(run({"--help"}).help_for, "");
    EXPECT_TRUE(run({}).wants_help);
    EXPECT_EQ(run({"look", "--help"}).help_for, "look");
    EXPECT_EQ(run({"-r", "/x", "-h", "key"}).help_for, "key");
    EXPECT_EQ(run({"key", "add", "-h"}).help_for, "key add");
    EXPECT_EQ(run({"help", "take"}).help_for, "take");
    EXPECT_EQ(run({"help"}).help_for, "");
    EXPECT_FALSE(run({"take", "--", "--help"}).wants_help);
    EXPECT_TRUE(run({"--version"}).wants_version);
    EXPECT_EQ(error_of({"tkae", "--help"}).hint(), "Did you mean `holdfast take`?");
}

TEST(Parse, errors_are_json_as_soon_as_it_is_asked_for) {
    EXPECT_TRUE(wants_json({"tkae", "--json"}));
    EXPECT_FALSE(wants_json({"take", "--", "--json"}));
}

}  // namespace
}  // namespace holdfast::app
