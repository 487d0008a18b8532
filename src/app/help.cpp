#include "app/help.h"

#include <algorithm>
#include <map>

#include "app/version.h"
#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

namespace holdfast::app {

namespace {

constexpr std::size_t columns_max = 100;

// `text` in lines of at most `columns_max`, all but the first behind `indent` blanks.
std::string wrapped(std::string_view text, std::size_t indent) {
    std::string out;
    std::size_t column = indent;
    for (const std::string& word : split(text, ' ')) {
        const std::size_t width = utf8::columns(word);
        if (column > indent && column + 1 + width > columns_max) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (column > indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += width;
    }
    return out;
}

// "  left  right", the right side wrapped.
std::string two_columns(const std::vector<std::pair<std::string, std::string>>& rows) {
    constexpr std::size_t left_max = 30;
    std::size_t left = 0;
    for (const auto& [name, text] : rows) {
        if (utf8::columns(name) <= left_max) left = std::max(left, utf8::columns(name));
    }
    std::string out;
    for (const auto& [name, text] : rows) {
        const std::size_t width = utf8::columns(name);
        out += "  " + name;
        out += width > left ? "\n" + std::string(left + 4, ' ') : std::string(left - width + 2, ' ');
        out += wrapped(text, left + 4) + "\n";
    }
    return out;
}

std::string options_text(const Options& options, bool words) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Option& option : options.all()) {
        if (option.is_word() == words) rows.emplace_back(option_text(option), option.help);
    }
    return two_columns(rows);
}

std::string verbs_text(const std::vector<Command>& commands) {
    std::string out;
    for (const Part part : {Part::make, Part::look, Part::bring_back, Part::keep, Part::run, Part::housekeeping}) {
        out += fmt::format("\n{}\n", title_of(part));
        std::vector<std::pair<std::string, std::string>> rows;
        for (const Command& command : commands) {
            if (command.part == part) rows.emplace_back(command.name, command.summary);
        }
        out += two_columns(rows);
    }
    return out;
}

std::string overview(const std::vector<Command>& commands, const Options& globals) {
    std::string out = fmt::format("holdfast {}: backs up a whole platform and brings it back\n\n", version);
    out += "Usage: holdfast [OPTIONS] VERB …\n";
    out += verbs_text(commands);
    out += "\nOptions of every verb\n" + options_text(globals, false);
    out += "\nEnvironment\n";
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Variable& each : environment_variables()) rows.emplace_back(each.name, each.says);
    out += two_columns(rows);
    out += "\nExit status\n";
    rows.clear();
    for (const ExitLine& each : exit_lines()) rows.emplace_back(fmt::format("{:>3}", each.status), each.text);
    out += two_columns(rows);
    out += "\nFirst steps\n";
    out += two_columns({{"holdfast -r /backups init", "make a repository"},
                        {"holdfast -r /backups backup files:/etc", "make a snapshot of a folder"},
                        {"holdfast -r /backups restore latest --to /tmp/etc", "bring it back, elsewhere"},
                        {"holdfast VERB --help", "more about one verb, with examples"}});
    return out;
}

std::string group_overview(const std::vector<Command>& commands, std::string_view group) {
    std::string out = fmt::format("Usage: holdfast {} VERB …\n\n", group);
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Command& command : commands) {
        if (command.name.starts_with(std::string(group) + " ")) rows.emplace_back(command.name, command.summary);
    }
    return out + two_columns(rows);
}

std::string help_of(const Command& command, const Options& globals) {
    std::string out = fmt::format("{}: {}\n\nUsage: {}\n", command.name, command.summary, usage_line(command));
    if (!command.details.empty()) {
        for (const std::string& paragraph : split(command.details, '\n')) out += "\n" + wrapped(paragraph, 0) + "\n";
    }
    if (const std::string words = options_text(command.options, true); !words.empty()) out += "\nArguments\n" + words;
    if (const std::string own = options_text(command.options, false); !own.empty()) out += "\nOptions\n" + own;
    out += "\nOptions of every verb\n" + options_text(globals, false);
    if (!command.examples.empty()) {
        out += "\nExamples\n";
        for (const Example& example : command.examples) {
            if (!example.says.empty()) out += fmt::format("  # {}\n", example.says);
            out += fmt::format("  {}\n", example.line);
        }
    }
    return out;
}

}  // namespace

std::string_view title_of(Part part) {
    switch (part) {
        case Part::make:
            return "Back up";
        case Part::look:
            return "Look";
        case Part::bring_back:
            return "Bring back";
        case Part::keep:
            return "Keep sound and small";
        case Part::run:
            return "By itself:";
        case Part::housekeeping:
            return "Keys and configuration";
        case Part::hidden:
            return "Hidden";
    }
    return "";
}

std::string option_text(const Option& option) {
    if (option.is_word()) return option.names + (option.kind == Option::Kind::words ? "…" : "");
    std::string out = option.short_name().empty() ? "    " : option.short_name() + ", ";
    out += option.long_name();
    if (option.kind == Option::Kind::optional_value) return out + "[=" + option.value + "]";
    return option.value.empty() ? out : out + " " + option.value;
}

std::string usage_line(const Command& command) {
    std::string out = "holdfast " + command.name;
    if (std::ranges::any_of(command.options.all(), [](const Option& option) { return !option.is_word(); }))
        out += " [OPTIONS]";
    for (const Option& option : command.options.all()) {
        const bool named = option.required && !option.is_word();
        if (!option.is_word() && !named) continue;
        const std::string text = named ? option.long_name() + " " + option.value : option_text(option);
        out += option.required ? " " + text : " [" + text + "]";
    }
    if (command.takes_command_line) out += " [-- COMMAND…]";
    return out;
}

std::vector<ExitLine> exit_lines() {
    std::map<int, std::string> lines{{0, "done"}};
    for (const CodeInfo& info : code_table()) {
        std::string& line = lines[info.exit_status];
        if (!line.empty()) line += " · ";
        std::string slug(info.slug);
        std::ranges::replace(slug, '_', ' ');
        line += slug;
    }
    std::vector<ExitLine> out;
    for (auto& [status, text] : lines) out.push_back({status, std::move(text)});
    return out;
}

std::vector<Variable> environment_variables() {
    return {{"HOLDFAST_REPO", "the repository, as with -r"},
            {"HOLDFAST_CONFIG", "the configuration file, as with -c"},
            {"HOLDFAST_PASSWORD", "the passphrase"},
            {"HOLDFAST_PASSWORD_FILE", "a file that holds the passphrase"},
            {"HOLDFAST_KEY_FILE", "a key file, as with --key-file"},
            {"HOLDFAST_TO_PASSWORD",
             "of `copy`: the passphrase of the other repository (also _TO_PASSWORD_FILE, _TO_KEY_FILE)"},
            {"HOLDFAST_FROM_PASSWORD",
             "of `repair`: the passphrase of the other repository (also _FROM_PASSWORD_FILE, _FROM_KEY_FILE)"},
            {"HOLDFAST_NEW_PASSWORD",
             "of `key add` and `key change`: the new passphrase (also _NEW_PASSWORD_FILE, _NEW_KEY_FILE)"}};
}

std::string help_text(const std::vector<Command>& commands, const Options& globals, std::string_view name) {
    if (name.empty()) return overview(commands, globals);
    for (const Command& command : commands) {
        if (command.name == name) return help_of(command, globals);
    }
    return group_overview(commands, name);
}

}  // namespace holdfast::app
