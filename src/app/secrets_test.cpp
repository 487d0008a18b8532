#include "app/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"

namespace holdfast::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NoLog final : public Log {
public:
    void write(Level, std::string_view) override {}
};

class SecretsTest : public testing::Test {
protected:
    std::string text_of(const std::string& reference, SecretForm form = SecretForm::passphrase) {
        return std::string(as_text(secrets.resolve(parse_reference(reference).value(), form).reveal()));
    }
    std::string file_with(const std::string& content) const {
        const std::string path = folder_.path() + "/secret";
        write_file_durably(path, as_bytes(content));
        return path;
    }

private:
    NoLog log_;
    Stop stop_;
    World world_{system_clock(), system_random(), stop_, log_};
    TemporaryFolder folder_;

protected:
    Secrets secrets{world_};
};

TEST_F(SecretsTest, a_variable_is_taken_out_of_the_environment_and_remembered) {
    setenv("HF_TEST_SECRET", "hunter2", 1);
    const char* const value = getenv("HF_TEST_SECRET");
    EXPECT_EQ(text_of("env:HF_TEST_SECRET"), "hunter2");
    EXPECT_EQ(getenv("HF_TEST_SECRET"), nullptr);
    EXPECT_EQ(*value, '\0') << "the bytes are still in memory";
    EXPECT_EQ(text_of("env:HF_TEST_SECRET"), "hunter2");
    EXPECT_FALSE(secrets.from_environment("HF_TEST_NO_SECRET"));
}

TEST_F(SecretsTest, a_passphrase_ends_before_the_last_line_break_and_a_key_file_does_not) {
    EXPECT_EQ(text_of("file:" + file_with("hunter2\n")), "hunter2");
    EXPECT_EQ(text_of("file:" + file_with("hunter2\r\n")), "hunter2");
    EXPECT_EQ(text_of("file:" + file_with("two\nlines\n\n")), "two\nlines\n");
    EXPECT_EQ(text_of("file:" + file_with(" spaces \n")), " spaces ");
    EXPECT_EQ(text_of("file:" + file_with("key\n"), SecretForm::whole), "key\n");
}

TEST_F(SecretsTest, a_command_is_run_without_a_shell) {
    EXPECT_EQ(text_of("exec:echo hunter2"), "hunter2");
    EXPECT_EQ(text_of("exec:echo '$HOME; a'"), "$HOME; a");
    EXPECT_THROW(text_of("exec:false"), Error);
    EXPECT_THROW(text_of("exec:true"), Error);
    EXPECT_THROW(text_of("exec:/no/such/program"), Error);
}

TEST_F(SecretsTest, a_reference_that_leads_nowhere_says_where_it_stands) {
    SecretReference reference = parse_reference("env:HF_TEST_NO_SECRET").value();
    reference.where = "h.yaml:3:20: `passphrase` of repository `main`";
    try {
        secrets.resolve(reference, SecretForm::passphrase);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::config);
        EXPECT_EQ(error.message(),
                  "h.yaml:3:20: `passphrase` of repository `main`: environment variable HF_TEST_NO_SECRET is "
                  "not set");
    }
    EXPECT_THAT(secrets.problem_with(parse_reference("file:/no/such/file").value()).value(),
                HasSubstr("/no/such/file: no such file"));
    EXPECT_FALSE(secrets.problem_with(parse_reference("exec:/no/such/program").value()));
    EXPECT_THROW(text_of("file:" + file_with("")), Error);
    EXPECT_THROW(text_of("file:" + file_with("\n")), Error);
}

TEST(SecretReference, only_references_are_references) {
    EXPECT_TRUE(parse_reference("env:X"));
    EXPECT_TRUE(parse_reference("file:/x"));
    EXPECT_TRUE(parse_reference("exec:pass show x"));
    for (const char* text : {"", "hunter2", "env:", "file:", "ENV:X", "vault:x", "exec"})
        EXPECT_FALSE(parse_reference(text)) << text;
}

TEST(SecretReference, quotes_keep_words_together) {
    EXPECT_THAT(split_command("pass show  x"), ElementsAre("pass", "show", "x"));
    EXPECT_THAT(split_command(R"(a 'b c' "d 'e" f'g'h '')"), ElementsAre("a", "b c", "d 'e", "fgh", ""));
    EXPECT_THAT(split_command("  "), IsEmpty());
}

}  // namespace
}  // namespace holdfast::app
