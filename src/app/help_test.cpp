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

using testing::ElementsAre;
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
    const auto escaped = [](std::string name) {
        for (std::size_t at = 0; (at = name.find('-', at)) != std::string::npos; at += 2) name.insert(at, "\\");
        return name;
    };
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        const std::string heading = ".SS " + escaped(command.name) + "\n";
        const std::size_t begin = text.find(heading);
        ASSERT_NE(begin, std::string::npos) << command.name;
        const std::string section = text.substr(begin, text.find("\n.S", begin + heading.size()) - begin);
        for (const Option& option : command.options.all()) {
            if (option.is_word()) continue;
            EXPECT_THAT(section, HasSubstr(escaped(option.long_name()))) << command.name;
        }
    }
    for (const Option& option : options.all()) EXPECT_THAT(text, HasSubstr(escaped(option.long_name())));
    EXPECT_THAT(text, HasSubstr("\\-\\-keep\\-daily N"));
    for (const std::string& line : split(text, '\n')) EXPECT_FALSE(line.starts_with('\'')) << line;
}

// The shell must at least accept what was made for it.
void expect_accepted_by(const std::string& shell, const std::string& text) {
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/completion";
    write_file_durably(path, as_bytes(text));
    ChildOptions child;
    child.argv = {shell, "-n", path};
    EXPECT_EQ(as_text(run_and_read(child)), "") << shell;
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
    EXPECT_EQ(offered(script, {"deploy", "s3-policy", "--buc"}), "--bucket ");
    EXPECT_EQ(offered(script, {"key", "add", "--role", "ma"}), "maintainer ");
    EXPECT_EQ(offered(script, {"deploy", "s3-policy", "--role", "re"}), "reader replicator ");
    EXPECT_EQ(offered(script, {"backup", "--compression", ""}), "off fast balanced small ");
}

// What fish offers for a line with the cursor at its end, without the summaries.
std::vector<std::string> offered_by_fish(const std::string& script, const std::string& line) {
    const TemporaryFolder folder;
    write_file_durably(folder.path() + "/completion", as_bytes(script));
    ChildOptions child;
    child.argv = {"fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", folder.path() + "/completion",
                  line};
    child.add_environment = {{"HOME", folder.path()}};
    std::vector<std::string> out;
    for (const std::string& each : split(as_text(run_and_read(child)), '\n'))
        if (!each.empty()) out.push_back(each.substr(0, each.find('\t')));
    return out;
}

TEST_F(HelpTest, fish_completes_verbs_sub_verbs_and_options) {
    const std::string script = fish_completion(commands, options);
    const auto offers = [&](const std::string& line) { return offered_by_fish(script, line); };
    EXPECT_THAT(offers("holdfast sn"), ElementsAre("snapshots"));
    EXPECT_THAT(offers("holdfast -r /x res"), ElementsAre("restore"));
    EXPECT_THAT(offers("holdfast key g"), ElementsAre("generate"));
    EXPECT_THAT(offers("holdfast forget --keep-d"), ElementsAre("--keep-daily"));
    EXPECT_THAT(offers("holdfast key add --lab"), ElementsAre("--label"));
    EXPECT_THAT(offers("holdfast ls --js"), ElementsAre("--json"));
    EXPECT_THAT(offers("holdfast key add --role ma"), ElementsAre("maintainer"));
    EXPECT_THAT(offers("holdfast deploy s3-policy --role re"), ElementsAre("reader", "replicator"));
    EXPECT_THAT(offers("holdfast --compression s"), ElementsAre("small"));
}

// What becomes of a line when somebody types it into zsh, with a tab at its end. The first keys are for a shell that is
// ready; then tab, and what makes it write the line into a file.
std::string completed_by_zsh(const std::string& script, const std::string& line) {
    const TemporaryFolder folder;
    write_file_durably(folder.path() + "/_holdfast", as_bytes(script));
    ChildOptions child;
    child.argv = {"zsh", "-f", "-c", R"(
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; bindkey -e; print REA''DY"
        zpty -r shell said '*READY*'
        zpty -w -n shell "$2"$'\t\C-aprint -r -- \C-e >'"$1/line"$'\nexit\n'
        while zpty -r shell said; do :; done)", "zsh", folder.path(), line};
    child.add_environment = {{"TERM", "dumb"}, {"HOME", folder.path()}};
    run_and_read(child);
    const auto bytes = read_file_if_present(folder.path() + "/line");
    std::string out(bytes ? as_text(*bytes) : "nothing");
    while (out.ends_with('\n') || out.ends_with(' ')) out.pop_back();
    return out;
}

TEST_F(HelpTest, zsh_completes_verbs_sub_verbs_and_options) {
    const std::string script = zsh_completion(commands, options);
    const auto completed = [&](const std::string& line) { return completed_by_zsh(script, line); };
    EXPECT_EQ(completed("holdfast sn"), "holdfast snapshots");
    EXPECT_EQ(completed("holdfast -r /x resto"), "holdfast -r /x restore");
    EXPECT_EQ(completed("holdfast key g"), "holdfast key generate");
    EXPECT_EQ(completed("holdfast forget --keep-d"), "holdfast forget --keep-daily");
    EXPECT_EQ(completed("holdfast key add --lab"), "holdfast key add --label");
    EXPECT_EQ(completed("holdfast ls --js"), "holdfast ls --json");
    EXPECT_EQ(completed("holdfast key add --role ma"), "holdfast key add --role maintainer");
    EXPECT_EQ(completed("holdfast --compression s"), "holdfast --compression small");
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
        EXPECT_THAT(guide, HasSubstr(fmt::format("| `{}` | {} |", rule.name, name_of(rule.severity))));
}

TEST_F(HelpTest, the_page_of_errors_is_made_from_the_table) {
    const std::string path = std::string(HF_SOURCE_FOLDER) + "/doc/errors.md";
    EXPECT_EQ(std::string(as_text(read_file(path))), errors_page()) << "run: holdfast errors > doc/errors.md";
}

}  // namespace
}  // namespace holdfast::app
