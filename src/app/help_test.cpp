#include "app/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "app/completion.h"
#include "app/errors_page.h"
#include "app/registry.h"
#include "app/version.h"
#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "policy/lint.h"

namespace holdfast::app {
namespace {

using testing::HasSubstr;

class HelpTest : public testing::Test {
protected:
    Globals globals;
    const Options options = global_options(globals);
    const std::vector<Command> commands = all_commands();
};

TEST_F(HelpTest, every_verb_has_a_summary_and_an_example) {
    for (const Command& command : commands) {
        EXPECT_FALSE(command.summary.empty()) << command.name;
        EXPECT_TRUE(command.run) << command.name;
        if (command.part == Part::hidden) continue;
        EXPECT_FALSE(command.examples.empty()) << command.name;
        const std::string text = help_text(commands, options, command.name);
        EXPECT_THAT(text, HasSubstr("Usage: holdfast " + command.name));
        EXPECT_THAT(text, HasSubstr(command.examples.front().line));
    }
}

TEST_F(HelpTest, every_option_has_a_help_and_a_name_of_its_own) {
    for (const Command& command : commands) {
        std::set<std::string> names;
        for (const Options* each : {&options, &command.options}) {
            for (const Option& option : each->all()) {
                EXPECT_FALSE(option.help.empty()) << command.name << " " << option.names;
                EXPECT_EQ(option.takes_value(), !option.value.empty()) << command.name << " " << option.names;
                for (const std::string& name : split(option.names, ','))
                    EXPECT_TRUE(names.insert(name).second) << command.name << " has " << name << " twice";
            }
        }
    }
}

TEST_F(HelpTest, no_line_is_wider_than_a_terminal) {
    for (const Command& command : commands) {
        for (const std::string& line : split(help_text(commands, options, command.name), '\n')) {
            if (line.starts_with("  holdfast") || line.starts_with("  pg_dump") || line.starts_with("  # ") ||
                line.starts_with("Usage:"))
                continue;
            EXPECT_LE(line.size(), 110U) << command.name << ": " << line;
        }
    }
}

TEST_F(HelpTest, the_overview_has_every_verb_and_every_exit_status) {
    const std::string text = help_text(commands, options, "");
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        EXPECT_THAT(text, HasSubstr("  " + command.name + " "));
    }
    std::set<int> statuses{0};
    for (const CodeInfo& info : code_table()) statuses.insert(info.exit_status);
    ASSERT_EQ(exit_lines().size(), statuses.size());
    for (const int status : statuses) EXPECT_THAT(text, HasSubstr(fmt::format("  {:>3}  ", status)));
    EXPECT_THAT(text, HasSubstr("HOLDFAST_PASSWORD_FILE"));
    EXPECT_THAT(help_text(commands, options, "key"), HasSubstr("key add"));
}

TEST_F(HelpTest, the_man_page_names_every_verb_and_option) {
    const std::string text = man_page(commands, options);
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        std::string name = command.name;
        for (std::size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) name.insert(at, "\\");
        EXPECT_THAT(text, HasSubstr(".SS " + name + "\n"));
    }
    EXPECT_THAT(text, HasSubstr("\\-\\-keep\\-daily N"));
    for (const std::string& line : split(text, '\n')) EXPECT_FALSE(line.starts_with('\'')) << line;
}

// Where the shell is installed, it must at least accept what was made for it.
void expect_accepted_by(const std::string& shell, const std::string& text) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/completion";
    write_file_durably(path, as_bytes(text));
    ChildOptions child;
    child.argv = {shell, "-n", path};
    try {
        EXPECT_EQ(as_text(run_and_read(child)), "") << shell;
    } catch (const Error& error) {
        if (error.code() != Code::not_found) ADD_FAILURE() << error.message();
    }
}

TEST_F(HelpTest, completions_are_right_for_their_shells) {
    expect_accepted_by("bash", bash_completion(commands, options));
    expect_accepted_by("zsh", zsh_completion(commands, options));
    expect_accepted_by("fish", fish_completion(commands, options));
}

// What bash offers for "holdfast WORDS…" with the cursor in the last word.
std::string offered(const std::string& script, const std::vector<std::string>& words) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/completion";
    write_file_durably(path, as_bytes(script));
    std::string list;
    for (const std::string& word : words) list += " '" + word + "'";
    ChildOptions child;
    child.argv = {"bash", "-c",
                  fmt::format("source {}; COMP_WORDS=(holdfast{}); COMP_CWORD={}; _holdfast; printf '%s ' "
                              "\"${{COMPREPLY[@]}}\"",
                              path, list, words.size())};
    return std::string(as_text(run_and_read(child)));
}

TEST_F(HelpTest, bash_completes_verbs_sub_verbs_and_options) {
    const std::string script = bash_completion(commands, options);
    EXPECT_EQ(offered(script, {"sn"}), "snapshots ");
    EXPECT_EQ(offered(script, {"-r", "/x", "res"}), "restore ");
    EXPECT_EQ(offered(script, {"key", "g"}), "generate ");
    EXPECT_EQ(offered(script, {"forget", "--keep-d"}), "--keep-daily ");
    EXPECT_EQ(offered(script, {"key", "add", "--lab"}), "--label ");
    EXPECT_EQ(offered(script, {"ls", "--js"}), "--json ");
}

TEST_F(HelpTest, the_guide_names_every_verb_and_option) {
    const Bytes bytes = read_file(std::string(HF_SOURCE_FOLDER) + "/doc/guide/commands.md");
    const std::string guide(as_text(bytes));
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        EXPECT_THAT(guide, HasSubstr("`" + command.name + "`"));
        for (const Options* each : {&options, &command.options}) {
            for (const Option& option : each->all()) {
                if (option.is_word()) continue;
                EXPECT_THAT(guide, HasSubstr(option.long_name())) << command.name;
            }
        }
    }
}

TEST_F(HelpTest, the_guide_names_every_key_of_a_source) {
    const Bytes bytes = read_file(std::string(HF_SOURCE_FOLDER) + "/doc/guide/configuration.md");
    const std::string guide(as_text(bytes));
    for (const SourceType* type : source_types()) {
        EXPECT_THAT(guide, HasSubstr(fmt::format("kind: {}", type->kind)));
        for (const SourceOption& option : type->options)
            EXPECT_THAT(guide, HasSubstr(fmt::format("| `{}` |", option.name)));
    }
}

TEST_F(HelpTest, the_guide_names_every_rule_of_lint) {
    const Bytes bytes = read_file(std::string(HF_SOURCE_FOLDER) + "/doc/guide/lint.md");
    const std::string guide(as_text(bytes));
    for (const policy::LintRule& rule : policy::lint_rules())
        EXPECT_THAT(guide, HasSubstr(fmt::format("| `{}` | {} |", rule.name,
                                                 rule.severity == policy::Severity::error ? "error" : "warning")));
}

TEST_F(HelpTest, the_page_of_errors_is_made_from_the_table) {
    const std::string path = std::string(HF_SOURCE_FOLDER) + "/doc/errors.md";
    EXPECT_EQ(std::string(as_text(read_file(path))), errors_page()) << "run: holdfast errors > doc/errors.md";
}

}  // namespace
}  // namespace holdfast::app
