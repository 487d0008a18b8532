// app/command.h: the verbs and their options, declared once; parsing, help, completions and the man page come
// from here.
//
// Shape    cmd_<verb>.cpp has a function that returns its Command; the targets of its options live in a
//          struct that the Command's `run` holds
// Errors   usage, from an option that does not understand its value
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/world.h"
#include "store/limit.h"

namespace holdfast::app {

class Context;

struct Option {
    enum class Kind : std::uint8_t { flag, value, optional_value, list, word, words };  // the last two have no name
    // What a shell offers for its value.
    // `targets`: folders and environments.
    enum class Offers : std::uint8_t { nothing, files, folders, sources, snapshots, targets };

    Kind kind = Kind::flag;
    std::string names;  // "-n,--dry-run"; of a word, what help calls it: "SNAPSHOT"
    std::string value;  // what help calls its value: "FILE"
    std::string help;
    bool required = false;
    std::function<void(const std::string&)> take;  // once for each value; for a flag, with ""
    Offers offers = Offers::nothing;
    std::span<const std::string_view> choices = {};  // its value is one of these; empty: any

    bool is_word() const { return kind == Kind::word || kind == Kind::words; }
    bool takes_value() const { return kind != Kind::flag && !is_word(); }
    std::string long_name() const;   // "--dry-run"
    std::string short_name() const;  // "-n"; empty when there is none
};

// The options of a verb, or the global ones.
class Options {
public:
    Option& flag(bool& target, std::string names, std::string help);
    Option& value(std::string& target, std::string names, std::string value, std::string help);
    Option& value(std::optional<std::string>& target, std::string names, std::string value, std::string help);
    // Given without a value it sets `target` to "".
    Option& optional_value(std::optional<std::string>& target, std::string names, std::string value, std::string help);
    Option& list(std::vector<std::string>& target, std::string names, std::string value, std::string help);
    // One of `words`, which outlive it.
    Option& one_of(std::string& target, std::string names, std::string value, std::span<const std::string_view> words,
                   std::string help);
    Option& rate(std::uint64_t& target, std::string names, std::string value, std::string help);
    Option& number(std::uint32_t& target, std::string names, std::string value, std::string help);
    Option& duration(std::optional<Nanoseconds>& target, std::string names, std::string value, std::string help);
    Option& word(std::string& target, std::string name, std::string help);
    Option& words(std::vector<std::string>& target, std::string name, std::string help);

    const std::vector<Option>& all() const { return options_; }

private:
    Option& add(Option::Kind kind, std::string names, std::string value, std::string help,
                std::function<void(const std::string&)> take);
    std::vector<Option> options_;
};

struct Example {
    std::string line;  // "holdfast backup files:/etc"
    std::string says;
};

enum class Part : std::uint8_t { make, look, bring_back, keep, run, housekeeping, hidden };

struct Command {
    std::string name;  // "backup", "key add"
    Part part = Part::look;
    std::string summary;  // one line, as after "backup  "
    std::string details;  // paragraphs, one line each; may be empty
    std::vector<Example> examples;
    bool takes_command_line = false;    // what follows "--" is kept whole, in Context::command_line
    bool is_recorded = false;           // its run goes into the ledger, where one is configured
    bool ends_with_its_reader = false;  // `holdfast ls | head`: it only looks, so SIGPIPE may end it
    Options options;
    std::function<int(Context&)> run;  // the exit status
};

struct Globals {
    std::string config;
    bool config_stdin = false;
    std::optional<std::string> config_text;  // with config_stdin, once it was read
    std::string repository;
    std::string key_file;
    bool json = false;
    bool quiet = false;
    bool verbose = false;
    bool no_input = false;
    bool yes = false;
    Bandwidth limit;
    std::string compression;  // empty: what the configuration says
};
Options global_options(Globals& globals);

// Every command, in the order of `holdfast --help`.
std::vector<Command> all_commands();

// Verbs that the design names and this version does not build.
bool is_planned_verb(std::string_view verb);

Command attest_command();
Command backup_command();
Command check_command();
Command completion_command();
Command config_check_command();
Command config_lint_command();
Command config_schema_command();
Command config_show_command();
Command copy_command();
Command deploy_container_command();
Command deploy_kubernetes_command();
Command deploy_s3_policy_command();
Command deploy_systemd_command();
Command diff_command();
Command doctor_command();
Command dump_command();
Command errors_command();
Command export_command();
Command find_command();
Command follow_command();
Command forget_command();
Command history_command();
Command hold_command();
Command import_command();
Command init_command();
Command jobs_command();
Command key_add_command();
Command key_change_command();
Command key_generate_command();
Command key_list_command();
Command key_remove_command();
Command ledger_rebuild_command();
Command ls_command();
Command mount_command();
Command man_command();
Command names_command();
Command promote_command();
Command prune_command();
Command prove_command();
Command release_command();
Command repair_command();
Command report_inventory_command();
Command report_proof_command();
Command restore_command();
Command run_command();
Command runs_command();
Command serve_command();
Command snapshots_command();
Command stats_command();
Command unlock_command();
Command version_command();
Command windows_command();

}  // namespace holdfast::app
