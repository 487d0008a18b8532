#include "app/command.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "codec/compress.h"

namespace holdfast::app {

std::string Option::long_name() const {
    for (const std::string& name : split(names, ',')) {
        if (name.starts_with("--")) return name;
    }
    return names;
}

std::string Option::short_name() const {
    for (const std::string& name : split(names, ',')) {
        if (name.size() == 2 && name.front() == '-') return name;
    }
    return "";
}

Option& Options::add(Option::Kind kind, std::string names, std::string value, std::string help,
                     std::function<void(const std::string&)> take) {
    Option option;
    option.kind = kind;
    option.names = std::move(names);
    option.value = std::move(value);
    option.help = std::move(help);
    option.take = std::move(take);
    return options_.emplace_back(std::move(option));
}

Option& Options::flag(bool& target, std::string names, std::string help) {
    return add(Option::Kind::flag, std::move(names), "", std::move(help),
               [&target](const std::string&) { target = true; });
}

Option& Options::value(std::string& target, std::string names, std::string value, std::string help) {
    return add(Option::Kind::value, std::move(names), std::move(value), std::move(help),
               [&target](const std::string& text) { target = text; });
}

Option& Options::value(std::optional<std::string>& target, std::string names, std::string value, std::string help) {
    return add(Option::Kind::value, std::move(names), std::move(value), std::move(help),
               [&target](const std::string& text) { target = text; });
}

Option& Options::optional_value(std::optional<std::string>& target, std::string names, std::string value,
                                std::string help) {
    return add(Option::Kind::optional_value, std::move(names), std::move(value), std::move(help),
               [&target](const std::string& text) { target = text; });
}

Option& Options::list(std::vector<std::string>& target, std::string names, std::string value, std::string help) {
    return add(Option::Kind::list, std::move(names), std::move(value), std::move(help),
               [&target](const std::string& text) { target.push_back(text); });
}

Option& Options::number(std::uint32_t& target, std::string names, std::string value, std::string help) {
    Option& option = add(Option::Kind::value, std::move(names), std::move(value), std::move(help), {});
    option.take = [&target, name = option.long_name()](const std::string& text) {
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), target);
        if (failure != std::errc{} || end != text.data() + text.size())
            throw Error{Code::usage, "{} needs a whole number, not `{}`", name, text};
    };
    return option;
}

Option& Options::one_of(std::string& target, std::string names, std::string value,
                        std::span<const std::string_view> words, std::string help) {
    Option& option = add(Option::Kind::value, std::move(names), std::move(value), std::move(help), {});
    option.choices = words;
    option.take = [&target, words, name = option.long_name()](const std::string& text) {
        if (std::ranges::find(words, text) == words.end()) {
            const auto near = nearest(text, std::vector<std::string>(words.begin(), words.end()));
            throw Error{Code::usage, "{} is one of {}, not `{}`", name, fmt::join(words, ", "), text}.hint(
                near ? "Did you mean `" + *near + "`?" : "");
        }
        target = text;
    };
    return option;
}

Option& Options::rate(std::uint64_t& target, std::string names, std::string value, std::string help) {
    Option& option = add(Option::Kind::value, std::move(names), std::move(value), std::move(help), {});
    option.take = [&target, name = option.long_name()](const std::string& text) {
        const auto bytes = parse_size(text);
        if (!bytes || *bytes == 0)
            throw Error{Code::usage, "{} needs bytes a second, not `{}`", name, text}.hint(
                "Rates look like `500K`, `20M` or `1G`.");
        target = *bytes;
    };
    return option;
}

Option& Options::duration(std::optional<Nanoseconds>& target, std::string names, std::string value, std::string help) {
    Option& option = add(Option::Kind::value, std::move(names), std::move(value), std::move(help), {});
    option.take = [&target, name = option.long_name()](const std::string& text) {
        target = parse_duration(text);
        if (!target)
            throw Error{Code::usage, "{} needs a duration, not `{}`", name, text}.hint(
                "Durations look like `90s`, `12h`, `30d`, `6w` or `2y`.");
    };
    return option;
}

Option& Options::word(std::string& target, std::string name, std::string help) {
    return add(Option::Kind::word, std::move(name), "", std::move(help),
               [&target](const std::string& text) { target = text; });
}

Option& Options::words(std::vector<std::string>& target, std::string name, std::string help) {
    return add(Option::Kind::words, std::move(name), "", std::move(help),
               [&target](const std::string& text) { target.push_back(text); });
}

Options global_options(Globals& globals) {
    Options out;
    out.value(globals.config, "-c,--config", "FILE", "configuration file (HOLDFAST_CONFIG)").offers =
        Option::Offers::files;
    out.flag(globals.config_stdin, "--config-stdin",
             "read the configuration from standard input; -c says where it stands");
    out.value(globals.repository, "-r,--repository", "REPO", "a configured name, a path or a URL (HOLDFAST_REPO)")
        .offers = Option::Offers::folders;
    out.value(globals.key_file, "--key-file", "FILE", "unlock with this key file (HOLDFAST_KEY_FILE)").offers =
        Option::Offers::files;
    out.flag(globals.json, "--json", "print JSON for programs");
    out.flag(globals.quiet, "-q,--quiet", "print results and errors only");
    out.flag(globals.verbose, "-v,--verbose", "print more of what happens");
    out.flag(globals.no_input, "--no-input", "never ask; fail when something is missing");
    out.flag(globals.yes, "-y,--yes", "answer every question with yes");
    out.rate(globals.limit.up, "--limit-upload", "RATE",
             "send at most so many bytes a second to the store, such as 20M");
    out.rate(globals.limit.down, "--limit-download", "RATE", "read at most so many bytes a second from the store");
    out.one_of(globals.compression, "--compression", "HOW", codec::compressions,
               "of what is stored: off, fast, balanced (as usual) or small");
    return out;
}

std::vector<Command> all_commands() {
    std::vector<Command> out;
    for (auto* const make : {init_command,
                             backup_command,
                             import_command,
                             attest_command,
                             follow_command,
                             windows_command,
                             history_command,
                             snapshots_command,
                             ls_command,
                             mount_command,
                             find_command,
                             diff_command,
                             dump_command,
                             export_command,
                             stats_command,
                             restore_command,
                             repair_command,
                             prove_command,
                             check_command,
                             forget_command,
                             hold_command,
                             release_command,
                             prune_command,
                             copy_command,
                             promote_command,
                             serve_command,
                             run_command,
                             jobs_command,
                             runs_command,
                             report_proof_command,
                             report_inventory_command,
                             ledger_rebuild_command,
                             deploy_systemd_command,
                             deploy_kubernetes_command,
                             deploy_container_command,
                             deploy_s3_policy_command,
                             doctor_command,
                             unlock_command,
                             key_list_command,
                             key_add_command,
                             key_remove_command,
                             key_change_command,
                             key_generate_command,
                             config_check_command,
                             config_lint_command,
                             config_show_command,
                             config_schema_command,
                             version_command,
                             completion_command,
                             man_command,
                             names_command,
                             errors_command})
        out.push_back(make());
    return out;
}

bool is_planned_verb(std::string_view verb) {
    constexpr std::array planned{"dr", "incident", "audit"};
    return std::ranges::find(planned, verb) != planned.end();
}

}  // namespace holdfast::app
