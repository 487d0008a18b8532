#include "app/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace holdfast::app {

namespace {

// First words ("key"), and for those with sub-verbs these ("add list …").
struct Verbs {
    std::vector<std::pair<std::string, std::string>> first;  // with a summary
    std::map<std::string, std::vector<const Command*>> second;
};

std::string summary_of(std::string_view group) {
    static const std::map<std::string_view, std::string_view> summaries{
        {"config", "the configuration"},
        {"deploy", "print what runs holdfast elsewhere"},
        {"key", "the keys of a repository"},
        {"ledger", "the record of runs"},
        {"report", "what is protected, and how well"},
    };
    return std::string(summaries.at(group));
}

Verbs verbs_of(const std::vector<Command>& commands) {
    Verbs out;
    std::set<std::string> seen;
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        const std::vector<std::string> words = split(command.name, ' ');
        if (words.size() > 1) out.second[words[0]].push_back(&command);
        if (!seen.insert(words[0]).second) continue;
        out.first.emplace_back(words[0], words.size() > 1 ? summary_of(words[0]) : command.summary);
    }
    return out;
}

std::string sub_verb(const Command& command) { return command.name.substr(command.name.find(' ') + 1); }

// In '…' of a shell.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out + "'";
}

std::string option_names(const Options& options) {
    std::vector<std::string> out;
    for (const Option& option : options.all()) {
        if (option.is_word()) continue;
        out.push_back(option.long_name());
        if (!option.short_name().empty()) out.push_back(option.short_name());
    }
    return join(out, " ");
}

std::string choices_of(const Option& option) { return fmt::format("{}", fmt::join(option.choices, " ")); }

// Options (of all commands) whose values are files or folders.
std::string names_offering(const std::vector<Command>& commands, const Options& globals, Option::Offers offers) {
    std::set<std::string> names;
    const auto gather = [&](const Options& options) {
        for (const Option& option : options.all()) {
            if (!option.takes_value() || option.offers != offers) continue;
            names.insert(option.long_name());
            if (!option.short_name().empty()) names.insert(option.short_name());
        }
    };
    gather(globals);
    for (const Command& command : commands) gather(command.options);
    const std::vector<std::string> list(names.begin(), names.end());
    return join(list, "|");
}

// Cases of the verb and the word before the cursor. `verb` is a pattern.
std::string bash_choices(const std::string& verb, const Options& options) {
    std::string out;
    for (const Option& option : options.all()) {
        if (option.choices.empty()) continue;
        out += fmt::format("        {}' {}') COMPREPLY=($(compgen -W {} -- \"$current\")); return ;;\n", verb,
                           option.long_name(), quoted(choices_of(option)));
    }
    return out;
}

}  // namespace

std::string bash_completion(const std::vector<Command>& commands, const Options& globals) {
    const Verbs verbs = verbs_of(commands);
    std::vector<std::string> first;
    for (const auto& [name, summary] : verbs.first) first.push_back(name);
    std::string cases;
    std::string choices = bash_choices("*", globals);
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        cases += fmt::format("        {}) words={} ;;\n", quoted(command.name), quoted(option_names(command.options)));
        choices += bash_choices(quoted(command.name), command.options);
    }
    std::string groups;
    std::vector<std::string> with_verbs;
    for (const auto& [group, members] : verbs.second) {
        with_verbs.push_back(group);
        std::vector<std::string> names;
        for (const Command* command : members) names.push_back(sub_verb(*command));
        groups += fmt::format("        {}) COMPREPLY=($(compgen -W {} -- \"$current\")); return ;;\n", group,
                              quoted(join(names, " ")));
    }
    return fmt::format(R"bash(# bash completion of holdfast, made by `holdfast completion bash`
_holdfast() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" verb="" words="" i
    local -a config=()
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD - 1; i++)); do
        [[ ${{COMP_WORDS[i]}} == -c || ${{COMP_WORDS[i]}} == --config ]] && config=(-c "${{COMP_WORDS[i+1]}}")
    done
    case "$previous" in
        {}) words=$("$1" "${{config[@]}}" names sources 2>/dev/null)
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"); return ;;
        {}) words=$("$1" "${{config[@]}}" names environments 2>/dev/null)
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"; compgen -d -- "$current"); return ;;
        {}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        {}) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${{COMP_WORDS[i]}}" in
            -c|--config|-r|--repository|--key-file) ((i++)) ;;
            -*) ;;
            *)
                if [[ -z $verb ]]; then
                    verb="${{COMP_WORDS[i]}}"
                elif [[ $verb == {} ]]; then
                    verb="$verb ${{COMP_WORDS[i]}}"
                fi ;;
        esac
    done
    case "$verb $previous" in
{}    esac
    case "$verb" in
        '') [[ $current == -* ]] || {{ COMPREPLY=($(compgen -W {} -- "$current")); return; }} ;;
{}{}    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$words {}" -- "$current"))
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}}
complete -o filenames -F _holdfast holdfast
)bash",
                       names_offering(commands, globals, Option::Offers::sources),
                       names_offering(commands, globals, Option::Offers::targets),
                       names_offering(commands, globals, Option::Offers::files),
                       names_offering(commands, globals, Option::Offers::folders), "@(" + join(with_verbs, "|") + ")",
                       choices, quoted(join(first, " ")), groups, cases, option_names(globals) + " --help");
}

namespace {

std::string zsh_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string zsh_offer(const Option& option) {
    if (!option.choices.empty()) return "(" + choices_of(option) + ")";
    switch (option.offers) {
        case Option::Offers::files:
            return "_files";
        case Option::Offers::folders:
            return "_files -/";
        case Option::Offers::sources:
            return "{compadd -- ${(f)\"$(holdfast names sources 2>/dev/null)\"}}";
        case Option::Offers::targets:
            return "{compadd -- ${(f)\"$(holdfast names environments 2>/dev/null)\"}; _files -/}";
        case Option::Offers::nothing:
        case Option::Offers::snapshots:
            break;
    }
    return "";
}

// Arguments of _arguments: '(-n --dry-run)'{-n,--dry-run}'[help]'
std::string zsh_options(const Options& options) {
    std::string out;
    for (const Option& option : options.all()) {
        if (option.is_word()) {
            const char* const offered = option.offers == Option::Offers::nothing ? "" : "_files";
            out += fmt::format(" \\\n                {}",
                               quoted(fmt::format("{}:{}:{}", option.kind == Option::Kind::words ? "*" : "",
                                                  zsh_escaped(option.names), offered)));
            continue;
        }
        std::string value;
        if (option.kind == Option::Kind::optional_value) value = fmt::format("::{}:", zsh_escaped(option.value));
        if (option.kind == Option::Kind::value || option.kind == Option::Kind::list)
            value = fmt::format(":{}:{}", zsh_escaped(option.value), zsh_offer(option));
        const std::string repeat = option.kind == Option::Kind::list ? "*" : "";
        const std::string help = quoted(fmt::format("[{}]{}", zsh_escaped(option.help), value));
        const std::string end = option.takes_value() && option.kind == Option::Kind::optional_value ? "=-" : "";
        if (option.short_name().empty()) {
            out += fmt::format(" \\\n                {}{}{}", quoted(repeat + option.long_name() + end), "", help);
        } else {
            out += fmt::format(" \\\n                {}{{{},{}}}{}", repeat.empty() ? "" : quoted(repeat),
                               option.short_name(), option.long_name(), help);
        }
    }
    return out;
}

}  // namespace

std::string zsh_completion(const std::vector<Command>& commands, const Options& globals) {
    const Verbs verbs = verbs_of(commands);
    std::string first;
    for (const auto& [name, summary] : verbs.first) first += fmt::format("        {}\n", quoted(name + ":" + summary));
    std::string cases;
    for (const Command& command : commands) {
        if (command.part == Part::hidden || verbs.second.contains(split(command.name, ' ')[0])) continue;
        cases += fmt::format("            {})\n                _arguments -S $globals{} ;;\n", command.name,
                             zsh_options(command.options));
    }
    for (const auto& [group, members] : verbs.second) {
        std::string names;
        std::string inner;
        for (const Command* command : members) {
            names += " " + quoted(sub_verb(*command) + ":" + command->summary);
            inner += fmt::format("                    {})\n                _arguments -S $globals{} ;;\n",
                                 sub_verb(*command), zsh_options(command->options));
        }
        cases += fmt::format(
            "            {})\n                if (( CURRENT == 2 )); then\n                    local -a "
            "inner=({})\n"
            "                    _describe verb inner\n                    return\n                fi\n"
            "                shift words; (( CURRENT-- ))\n                case $words[1] in\n{}             "
            "   esac ;;\n",
            group, names, inner);
    }
    return fmt::format(R"(#compdef holdfast
# zsh completion of holdfast, made by `holdfast completion zsh`
_holdfast() {{
    local -a verbs globals
    local context state state_descr line
    typeset -A opt_args
    verbs=(
{}    )
    globals=({}
    )
    _arguments -C -S $globals '1:verb:->verb' '*::argument:->arguments'
    case $state in
        verb) _describe verb verbs ;;
        arguments)
            case $words[1] in
{}            esac ;;
    esac
}}
_holdfast "$@"
)",
                       first, zsh_options(globals), cases);
}

std::string fish_completion(const std::vector<Command>& commands, const Options& globals) {
    const Verbs verbs = verbs_of(commands);
    std::string out =
        "# fish completion of holdfast, made by `holdfast completion fish`\n"
        "function __holdfast_verb\n"
        "    set -l skip 0\n"
        "    for word in (commandline -opc)[2..-1]\n"
        "        if test $skip = 1\n            set skip 0\n            continue\n        end\n"
        "        switch $word\n"
        "            case -c --config -r --repository --key-file\n                set skip 1\n"
        "            case '-*'\n"
        "            case '*'\n                echo $word\n"
        "        end\n"
        "    end\n"
        "end\n"
        "function __holdfast_is\n"
        "    set -l found (__holdfast_verb)\n"
        "    set -l wanted (count $argv)\n"
        "    test (count $found) -ge $wanted; and test \"$found[1..$wanted]\" = \"$argv\"\n"
        "end\n"
        "function __holdfast_none\n    test (count (__holdfast_verb)) -eq 0\nend\n"
        "function __holdfast_only\n    set -l found (__holdfast_verb)\n    test \"$found\" = "
        "\"$argv\"\nend\n";
    const auto add = [&](const Options& options, const std::string& condition) {
        for (const Option& option : options.all()) {
            if (option.is_word()) continue;
            out += "complete -c holdfast" + (condition.empty() ? "" : " -n " + quoted(condition)) + " -l " +
                   option.long_name().substr(2);
            if (!option.short_name().empty()) out += " -s " + option.short_name().substr(1);
            if (option.kind == Option::Kind::value || option.kind == Option::Kind::list) {
                const bool is_word =
                    option.offers == Option::Offers::nothing || option.offers == Option::Offers::sources;
                out += is_word ? " -x" : " -r";
                if (!option.choices.empty()) out += " -a " + quoted(choices_of(option));
                if (option.offers == Option::Offers::sources) out += " -a '(holdfast names sources 2>/dev/null)'";
                if (option.offers == Option::Offers::targets) out += " -a '(holdfast names environments 2>/dev/null)'";
            }
            out += " -d " + quoted(option.help) + "\n";
        }
    };
    add(globals, "");
    for (const auto& [name, summary] : verbs.first)
        out += fmt::format("complete -c holdfast -n __holdfast_none -f -a {} -d {}\n", name, quoted(summary));
    for (const Command& command : commands) {
        if (command.part == Part::hidden) continue;
        const std::vector<std::string> words = split(command.name, ' ');
        if (words.size() > 1)
            out += fmt::format("complete -c holdfast -n {} -f -a {} -d {}\n", quoted("__holdfast_only " + words[0]),
                               words[1], quoted(command.summary));
        add(command.options, "__holdfast_is " + command.name);
    }
    return out;
}

}  // namespace holdfast::app
