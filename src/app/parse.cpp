#include "app/parse.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <list>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

using Words = std::vector<std::string>;

// The verb's words ("key add") among options and their values. Nothing is thrown: that is left to the parser.
struct Found {
    Words verbs;         // first word that is no option, and the one after it when the first has sub-verbs
    std::size_t dashes;  // where "--" stands; words.size() when it does not
    bool help = false;
    bool version = false;
};

const Option* option_named(const Options& options, std::string_view name) {
    for (const Option& option : options.all()) {
        for (const std::string& each : split(option.names, ',')) {
            if (!option.is_word() && each == name) return &option;
        }
    }
    return nullptr;
}

// "-r" or "--config", also "-qr"; not "-r/x" or "--config=x", which hold their value themselves.
bool value_follows(const Options& globals, const std::string& word) {
    if (word.starts_with("--")) {
        const Option* option = option_named(globals, word);
        return option != nullptr && option->takes_value();
    }
    for (std::size_t i = 1; i < word.size(); ++i) {
        const Option* option = option_named(globals, std::string{'-', word[i]});
        if (option != nullptr && option->takes_value()) return i + 1 == word.size();
    }
    return false;
}

bool has_sub_verbs(const std::vector<Command>& commands, const std::string& verb) {
    return std::ranges::any_of(commands, [&](const Command& command) { return command.name.starts_with(verb + " "); });
}

Found look_over(const std::vector<Command>& commands, const Options& globals, const Words& words) {
    Found out;
    out.dashes = static_cast<std::size_t>(std::ranges::find(words, "--") - words.begin());
    for (std::size_t i = 0; i < out.dashes; ++i) {
        const std::string& word = words[i];
        if (word == "-h" || word == "--help") {
            out.help = true;
        } else if (word == "--version" && out.verbs.empty()) {
            out.version = true;
        } else if (word.size() > 1 && word.front() == '-') {
            if (value_follows(globals, word)) ++i;
        } else if (out.verbs.empty() || (out.verbs.size() == 1 && has_sub_verbs(commands, out.verbs[0]))) {
            out.verbs.push_back(word);
        }
    }
    if (!out.verbs.empty() && out.verbs[0] == "help") {
        out.verbs.erase(out.verbs.begin());
        for (std::size_t i = 0; out.verbs.empty() && i < out.dashes; ++i) {
            if (words[i] != "help" && !words[i].starts_with('-')) out.verbs.push_back(words[i]);
        }
        out.help = true;
    }
    return out;
}

[[noreturn]] void fail_unknown_verb(const std::vector<Command>& commands, const std::string& verb) {
    if (is_planned_verb(verb))
        throw Error{Code::usage, "`{}` is part of holdfast's design but this version does not build it yet", verb}.hint(
            "`holdfast --help` lists what there is.");
    std::set<std::string> names;
    for (const Command& command : commands) {
        if (command.part != Part::hidden) names.insert(command.name.substr(0, command.name.find(' ')));
    }
    const Words candidates(names.begin(), names.end());
    Error error{Code::usage, "there is no verb `{}`", verb};
    if (const auto near = nearest(verb, candidates))
        throw std::move(error).hint(fmt::format("Did you mean `holdfast {}`?", *near));
    throw std::move(error).hint("`holdfast --help` lists the verbs.");
}

const Command& command_of(const std::vector<Command>& commands, const Words& verbs) {
    const std::string& verb = verbs[0];
    if (has_sub_verbs(commands, verb)) {
        Words choices;
        for (const Command& command : commands) {
            if (command.name.starts_with(verb + " ")) choices.push_back(command.name.substr(verb.size() + 1));
        }
        const std::string list = join(choices, ", ");
        if (verbs.size() < 2)
            throw Error{Code::usage, "`{}` needs to know what to do: {}", verb, list}.hint(
                fmt::format("`holdfast {} --help` says more.", verb));
        for (const Command& command : commands) {
            if (command.name == verb + " " + verbs[1]) return command;
        }
        Error error{Code::usage, "there is no `{} {}`; there is: {}", verb, verbs[1], list};
        if (const auto near = nearest(verbs[1], choices))
            error.set_hint(fmt::format("Did you mean `holdfast {} {}`?", verb, *near));
        throw error;
    }
    for (const Command& command : commands) {
        if (command.name == verb) return command;
    }
    fail_unknown_verb(commands, verb);
}

// One CLI11 option and where its values wait until parsing as a whole has succeeded.
struct Held {
    const Option* option;
    CLI::Option* parsed = nullptr;
    bool is_set = false;
    std::string one;
    Words many;
};

class Parser {
public:
    Parser(const Options& globals, const Command& command) : app_("holdfast") {
        app_.set_help_flag();
        app_.require_subcommand(1);
        add(app_, globals);
        app_.fallthrough();
        CLI::App* at = &app_;
        for (const std::string& word : split(command.name, ' ')) {
            at = at->add_subcommand(word);
            at->fallthrough();
        }
        add(*at, command.options);
        last_ = at;
    }

    // Throws CLI::ParseError.
    void parse(Words words) {
        for (std::string& word : words) {
            if (word.starts_with('[') && word.ends_with(']')) word.push_back(end_mark);
        }
        std::ranges::reverse(words);
        app_.parse(std::move(words));
    }

    void hand_out() {
        for (Held& held : held_) {
            if (held.option->kind == Option::Kind::flag) {
                if (held.is_set) held.option->take("");
            } else if (held.parsed->count() == 0) {
                continue;
            } else if (held.option->kind == Option::Kind::list || held.option->kind == Option::Kind::words) {
                for (const std::string& each : held.many) held.option->take(unmarked(each));
            } else {
                held.option->take(unmarked(held.one));
            }
        }
    }

private:
    // CLI11 reads "[a,b]" as two values; no argument of a program can hold this byte.
    static constexpr char end_mark = '\0';
    static std::string unmarked(const std::string& text) {
        return text.ends_with(end_mark) ? text.substr(0, text.size() - 1) : text;
    }

    void add(CLI::App& to, const Options& options) {
        for (const Option& option : options.all()) {
            Held& held = held_.emplace_back();
            held.option = &option;
            switch (option.kind) {
                case Option::Kind::flag:
                    held.parsed = to.add_flag(option.names, held.is_set);
                    break;
                case Option::Kind::optional_value:
                    held.parsed = to.add_option(option.names, held.one)->expected(0, 1);
                    break;
                case Option::Kind::value:
                case Option::Kind::word:
                    held.parsed = to.add_option(option.names, held.one);
                    break;
                case Option::Kind::list:
                    // Else it would swallow the words that follow its value.
                    held.parsed = to.add_option(option.names, held.many)->allow_extra_args(false);
                    break;
                case Option::Kind::words:
                    held.parsed = to.add_option(option.names, held.many);
                    break;
            }
            if (option.required) held.parsed->required();
        }
    }

    CLI::App app_;
    CLI::App* last_ = nullptr;
    std::list<Held> held_;
};

Words names_of(const Options& globals, const Command& command) {
    Words out;
    for (const Options* options : {&globals, &command.options}) {
        for (const Option& option : options->all()) {
            if (!option.is_word()) out.push_back(option.long_name());
        }
    }
    return out;
}

// CLI11's complaint in our words.
[[noreturn]] void fail(const CLI::ParseError& error, const Options& globals, const Command& command,
                       const Words& words) {
    const std::string see = fmt::format("`holdfast {} --help` shows what it takes.", command.name);
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
        for (const std::string& word : words) {
            const std::string name = word.substr(0, word.find('='));
            if (name.size() < 2 || name.front() != '-') continue;
            if (option_named(globals, name) != nullptr || option_named(command.options, name) != nullptr) continue;
            if (!name.starts_with("--") && (option_named(globals, name.substr(0, 2)) != nullptr ||
                                            option_named(command.options, name.substr(0, 2)) != nullptr))
                continue;
            const auto near = nearest(name, names_of(globals, command));
            throw Error{Code::usage, "`{}` has no option {}", command.name, name}.hint(
                near ? fmt::format("Did you mean {}?", *near) : see);
        }
        throw Error{Code::usage, "`{}` was given too many arguments: {}", command.name, error.what()}.hint(see);
    }
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
        throw Error{Code::usage, "`{}` lacks an argument: {}", command.name, error.what()}.hint(see);
    throw Error{Code::usage, "{}", error.what()}.hint(see);
}

}  // namespace

Call parse(const std::vector<Command>& commands, const Options& globals, const Words& words) {
    const Found found = look_over(commands, globals, words);
    Call call;
    call.wants_version = found.version;
    if (found.version) return call;
    if (found.help || words.empty()) {
        call.wants_help = true;
        call.help_for = join(found.verbs, " ");
        if (found.verbs.size() == 2 || (found.verbs.size() == 1 && !has_sub_verbs(commands, found.verbs[0])))
            call.help_for = command_of(commands, found.verbs).name;
        return call;
    }
    if (found.verbs.empty()) throw Error{Code::usage, "a verb is missing"}.hint("`holdfast --help` lists the verbs.");

    const Command& command = command_of(commands, found.verbs);
    Words parsed = words;
    if (command.takes_command_line && found.dashes < words.size()) {
        call.command_line.assign(words.begin() + static_cast<std::ptrdiff_t>(found.dashes) + 1, words.end());
        parsed.resize(found.dashes);
    }
    Parser parser(globals, command);
    try {
        parser.parse(parsed);
    } catch (const CLI::ParseError& error) {
        fail(error, globals, command, parsed);
    }
    parser.hand_out();
    call.command = &command;
    return call;
}

bool wants_json(const Words& words) {
    const auto dashes = std::ranges::find(words, "--");
    return std::find(words.begin(), dashes, "--json") != dashes;
}

}  // namespace holdfast::app
