#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>

#include "app/config.h"
#include "app/config_keys.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/expect.h"

namespace holdfast::app {

namespace {

namespace keys = config_keys;

std::string list_of(keys::Names names) {
    std::string out;
    for (const std::string_view name : names) out += (out.empty() ? "`" : ", `") + std::string(name) + "`";
    return out;
}

std::string type_of(const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            return fmt::format("`{}`", node.Scalar());
        case YAML::NodeType::Sequence:
            return "a list";
        case YAML::NodeType::Map:
            return "a map";
        case YAML::NodeType::Null:
        case YAML::NodeType::Undefined:
            break;
    }
    return "nothing";
}

bool is_plain_name(const std::string& name) {
    const auto fits = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
           std::ranges::all_of(name, fits);
}

class Reader {
public:
    Reader(const std::string& path, std::span<const SourceType* const> types)
        : folder_(std::filesystem::path(path).parent_path().string()), types_(types) {
        out_.config.path = path;
    }

    ParsedConfig read(std::string_view text) {
        try {
            const YAML::Node root = YAML::Load(std::string(text));
            if (root.IsMap()) {
                read_top(root);
            } else {
                problem(root, "the configuration must be a map that begins with `version: 1`", "");
            }
        } catch (const YAML::Exception& error) {
            add(error.mark, fmt::format("this is not YAML: {}", error.msg), "");
        }
        std::ranges::stable_sort(out_.problems, {},
                                 [](const ConfigProblem& each) { return std::pair(each.line, each.column); });
        return std::move(out_);
    }

private:
    using Member = std::function<void(const std::string& key, const YAML::Node& at, const YAML::Node& value)>;

    void add(const YAML::Mark& mark, std::string text, std::string hint) {
        ConfigProblem problem{0, 0, std::move(text), std::move(hint)};
        if (!mark.is_null()) {
            problem.line = static_cast<std::size_t>(mark.line) + 1;
            problem.column = static_cast<std::size_t>(mark.column) + 1;
        }
        out_.problems.push_back(std::move(problem));
    }
    void problem(const YAML::Node& node, std::string text, std::string hint) {
        add(node.Mark(), std::move(text), std::move(hint));
    }

    std::string place(const YAML::Node& node) const {
        return fmt::format("{}:{}:{}", out_.config.path, node.Mark().line + 1, node.Mark().column + 1);
    }

    // Calls `each` for the keys that are built; says what is wrong with the others.
    void read_map(const YAML::Node& map, const std::string& what, keys::Names built, keys::Names planned,
                  const Member& each) {
        std::vector<std::string> seen;
        for (const auto& pair : map) {
            const YAML::Node& key = pair.first;
            if (!key.IsScalar()) {
                problem(key, fmt::format("a key of {} must be a name, not {}", what, type_of(key)), "");
                continue;
            }
            const std::string& name = key.Scalar();
            if (std::ranges::find(seen, name) != seen.end()) {
                problem(key, fmt::format("`{}` stands twice in {}", name, what), "Keep one of them.");
                continue;
            }
            seen.push_back(name);
            if (std::ranges::find(built, name) != built.end()) {
                each(name, key, pair.second);
            } else if (std::ranges::find(planned, name) != planned.end()) {
                problem(key,
                        fmt::format("`{}` is part of holdfast's design but this version does not build it yet", name),
                        fmt::format("Remove it from {} for now.", what));
            } else {
                problem(key, fmt::format("{} has no key `{}`", what, name), hint_for(name, built, planned));
            }
        }
    }

    static std::string hint_for(const std::string& name, keys::Names built, keys::Names planned) {
        std::vector<std::string> candidates(built.begin(), built.end());
        candidates.insert(candidates.end(), planned.begin(), planned.end());
        if (const auto near = nearest(name, candidates)) return fmt::format("Did you mean `{}`?", *near);
        return fmt::format("There is {}.", list_of(built));
    }

    // Calls `each` for every named thing below a key such as `sources`.
    void read_named(const YAML::Node& map, const std::string& what, const Member& each) {
        if (!map.IsMap()) {
            problem(map, fmt::format("`{}` must be a map of names, not {}", what, type_of(map)), "");
            return;
        }
        std::vector<std::string> seen;
        for (const auto& pair : map) {
            const std::string name = pair.first.IsScalar() ? pair.first.Scalar() : "";
            if (!is_plain_name(name)) {
                problem(pair.first,
                        fmt::format("a name in `{}` has letters, digits, `-`, `_` and `.` only, and does not "
                                    "begin with a sign",
                                    what),
                        "");
            } else if (std::ranges::find(seen, name) != seen.end()) {
                problem(pair.first, fmt::format("`{}` stands twice in `{}`", name, what), "Names are unique.");
            } else {
                seen.push_back(name);
                each(name, pair.first, pair.second);
            }
        }
    }

    std::optional<std::string> text(const YAML::Node& node, const std::string& what) {
        if (!node.IsScalar()) {
            problem(node, fmt::format("{} must be a text, not {}", what, type_of(node)), "");
            return std::nullopt;
        }
        if (has_password(node.Scalar())) {
            problem(node, fmt::format("{} is a URL with a password in it", what),
                    "Secrets are given by reference only: `env:NAME`, `file:PATH` or `exec:COMMAND`.");
            return std::nullopt;
        }
        return node.Scalar();
    }

    void read_top(const YAML::Node& root) {
        bool has_version = false;
        read_map(root, "the configuration", keys::top, keys::top_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     if (key == "version") {
                         has_version = true;
                         read_version(value);
                     } else if (key == "repositories") {
                         read_named(value, key, [&](const auto& name, const auto& at, const auto& each) {
                             read_repository(name, at, each);
                         });
                     } else {
                         read_named(value, key, [&](const auto& name, const auto& at, const auto& each) {
                             read_source(name, at, each);
                         });
                     }
                 });
        if (!has_version) problem(root, "`version` is missing", "Begin the file with `version: 1`.");
    }

    void read_version(const YAML::Node& value) {
        if (value.IsScalar() && value.Scalar() == "1") return;
        int number = 0;
        if (YAML::convert<int>::decode(value, number) && number > 1) {
            problem(value, fmt::format("this is a configuration of version {}; this holdfast knows version 1", number),
                    "Use a newer holdfast.");
        } else {
            problem(value, fmt::format("`version` must be 1, not {}", type_of(value)), "");
        }
    }

    void read_repository(const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        const std::string what = fmt::format("repository `{}`", name);
        if (!value.IsMap()) {
            problem(value.IsNull() ? at : value, fmt::format("{} must be a map, not {}", what, type_of(value)),
                    fmt::format("Write `{}: {{url: /path/to/repository}}`.", name));
            return;
        }
        RepositoryConfig repository;
        repository.name = name;
        bool has_url = false;
        read_map(value, what, keys::repository, keys::repository_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& member) {
                     if (key == "unlock") {
                         repository.unlock = read_unlock(member, what);
                         return;
                     }
                     if (key == "endpoint" || key == "region") {
                         if (const auto given = text(member, fmt::format("`{}` of {}", key, what)))
                             (key == "region" ? repository.region : repository.endpoint) = *given;
                         return;
                     }
                     has_url = true;
                     if (const auto url = text(member, fmt::format("`url` of {}", what)))
                         repository.url = absolute(*url);
                 });
        if (!has_url) problem(at, fmt::format("{} has no `url`", what), "A folder's path is a `url` too.");
        out_.config.repositories.push_back(std::move(repository));
    }

    std::optional<UnlockConfig> read_unlock(const YAML::Node& node, const std::string& of) {
        if (!node.IsMap()) {
            problem(node, fmt::format("`unlock` of {} must be a map, not {}", of, type_of(node)),
                    "Write `unlock: {passphrase: \"file:/etc/holdfast/pass\"}`.");
            return std::nullopt;
        }
        std::optional<UnlockConfig> out;
        read_map(
            node, fmt::format("`unlock` of {}", of), keys::unlock, keys::unlock_planned,
            [&](const std::string& key, const YAML::Node& at, const YAML::Node& value) {
                if (out) {
                    problem(at, fmt::format("`unlock` of {} has more than one way", of),
                            "Keep one of `passphrase` and `keyfile`.");
                    return;
                }
                out.emplace();
                out->way = key == "keyfile" ? repo::Unlock::Way::keyfile : repo::Unlock::Way::passphrase;
                const auto reference = value.IsScalar() ? parse_reference(value.Scalar()) : std::nullopt;
                if (!reference) {
                    // Its text is not repeated: it may be the secret.
                    problem(value,
                            fmt::format("`{}` of {} must be a reference to a secret, never the secret itself", key, of),
                            "Write `env:NAME`, `file:PATH` or `exec:COMMAND`.");
                    return;
                }
                out->secret = *reference;
                if (reference->kind == SecretReference::Kind::file) out->secret.text = absolute(reference->text);
                out->secret.where = fmt::format("{}: `{}` of {}", place(value), key, of);
            });
        return out;
    }

    void read_source(const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        const std::string what = fmt::format("source `{}`", name);
        if (!value.IsMap()) {
            problem(value.IsNull() ? at : value, fmt::format("{} must be a map, not {}", what, type_of(value)),
                    fmt::format("Write `{}: {{kind: files, paths: [/srv]}}`.", name));
            return;
        }
        const SourceType* const type = read_kind(value, at, what);
        if (type == nullptr) return;
        std::vector<std::string_view> built{"kind"};
        for (const SourceOption& option : type->options) built.push_back(option.name);
        built.insert(built.end(), {"checks", "hooks", "objectives"});
        if (type->has_journal) built.insert(built.end(), keys::followed_source.begin(), keys::followed_source.end());
        const std::size_t problems_before = out_.problems.size();
        SourceConfig source{name, std::string(type->kind), {}, place(at)};
        read_map(value, what, built, keys::source_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& member) {
                     if (key == "kind") return;
                     if (key == "checks") {
                         source.checks = read_checks(member, *type, what);
                         return;
                     }
                     if (key == "hooks") {
                         source.hooks = read_hooks(member, what);
                         return;
                     }
                     if (key == "objectives") {
                         read_objectives(member, what, source);
                         return;
                     }
                     if (key == "window") {
                         source.window = read_duration(member, fmt::format("`window` of {}", what));
                         return;
                     }
                     if (key == "follow") {
                         const SourceOption flag{"follow", SourceOption::Type::flag, ""};
                         source.follow = read_option(flag, member, fmt::format("`follow` of {}", what)) ==
                                         std::vector<std::string>{"true"};
                         return;
                     }
                     const auto option = std::ranges::find(type->options, key, &SourceOption::name);
                     std::vector<std::string>& values = source.options[key];
                     values = read_option(*option, member, fmt::format("`{}` of {}", key, what));
                     if (std::ranges::find(keys::path_options, key) == keys::path_options.end()) return;
                     for (std::string& path : values) path = absolute(path);
                 });
        if (out_.problems.size() == problems_before) try_to_make(*type, source, at);
        out_.config.sources.push_back(std::move(source));
    }

    std::vector<engine::Check> read_checks(const YAML::Node& node, const SourceType& type, const std::string& of) {
        std::vector<engine::Check> out;
        if (!node.IsSequence()) {
            problem(node, fmt::format("`checks` of {} must be a list, not {}", of, type_of(node)),
                    "Write `checks: [{exec: [/usr/local/bin/check]}]`.");
            return out;
        }
        for (const YAML::Node& each : node) {
            if (auto check = read_check(each, type, fmt::format("a check of {}", of))) out.push_back(std::move(*check));
        }
        return out;
    }

    std::optional<engine::Check> read_check(const YAML::Node& node, const SourceType& type, const std::string& what) {
        if (!node.IsMap()) {
            problem(node, fmt::format("{} must be a map, not {}", what, type_of(node)),
                    "Write `{exec: [/usr/local/bin/check]}`.");
            return std::nullopt;
        }
        const std::size_t problems_before = out_.problems.size();
        engine::Check out;
        std::vector<std::string> ways;
        bool has_expect = false;
        read_map(node, what, keys::check, keys::check_planned,
                 [&](const std::string& key, const YAML::Node& at, const YAML::Node& value) {
                     if (key == "timeout") {
                         read_check_timeout(value, what, out);
                     } else if (key == "database") {
                         out.database = text(value, fmt::format("`database` of {}", what)).value_or("");
                     } else if (key == "expect") {
                         has_expect = true;
                         read_expectation(value, what, out);
                     } else {
                         ways.push_back(key);
                         read_check_way(key, at, value, type, what, out);
                     }
                 });
        if (out_.problems.size() != problems_before) return std::nullopt;
        if (ways.size() != 1) {
            problem(node, fmt::format("{} has {} `sql` and `exec`", what, ways.empty() ? "neither of" : "both"),
                    "A check is one of them.");
        } else if (has_expect != (ways[0] == "sql")) {
            problem(node,
                    has_expect ? fmt::format("{} has `expect`, but `exec` passes when it exits 0", what)
                               : fmt::format("{} has no `expect`", what),
                    has_expect ? "Remove `expect`." : "Write what the query must give, such as `expect: \">0\"`.");
        }
        return out_.problems.size() == problems_before ? std::optional(std::move(out)) : std::nullopt;
    }

    void read_check_way(const std::string& key, const YAML::Node& at, const YAML::Node& value, const SourceType& type,
                        const std::string& what, engine::Check& out) {
        if (key == "exec") {
            out.kind = engine::Check::Kind::exec;
            out.exec = read_words(value, fmt::format("`exec` of {}", what));
            return;
        }
        if (type.query == nullptr)
            problem(at, fmt::format("{} has `sql`, but a source of kind `{}` answers no queries", what, type.kind),
                    "Use `exec`.");
        if (auto sql = text(value, fmt::format("`sql` of {}", what))) out.sql = std::move(*sql);
    }

    void read_check_timeout(const YAML::Node& value, const std::string& what, engine::Check& out) {
        const auto words = text(value, fmt::format("`timeout` of {}", what));
        const auto timeout = words ? parse_duration(*words) : std::nullopt;
        if (timeout && *timeout > 0) {
            out.timeout = *timeout;
        } else if (words) {
            problem(value, fmt::format("`timeout` of {} must be a duration, not `{}`", what, *words),
                    "Durations look like `90s`, `15m` or `2h`.");
        }
    }

    void read_expectation(const YAML::Node& value, const std::string& what, engine::Check& out) {
        const auto words = text(value, fmt::format("`expect` of {}", what));
        if (!words) return;
        out.expect = *words;
        if (const auto wrong = policy::problem_with_expectation(*words))
            problem(value, fmt::format("`expect` of {}: {}: `{}`", what, *wrong, *words),
                    "It is `>0`, `>=`, `<`, `<=`, `=`, `!=`, `~REGEX`, or the text itself.");
    }

    // A program and its arguments; never empty.
    std::vector<std::string> read_words(const YAML::Node& node, const std::string& what) {
        std::vector<std::string> out;
        if (node.IsSequence()) {
            for (const YAML::Node& each : node) {
                if (auto word = text(each, fmt::format("an element of {}", what))) out.push_back(std::move(*word));
            }
        }
        if (out.empty() || out.front().empty())
            problem(node, fmt::format("{} must be a list of a program and its arguments, not {}", what, type_of(node)),
                    "Write it as `[program, argument]`.");
        return out;
    }

    engine::Hooks read_hooks(const YAML::Node& node, const std::string& of) {
        engine::Hooks out;
        const std::string what = fmt::format("`hooks` of {}", of);
        if (!node.IsMap()) {
            problem(node, fmt::format("{} must be a map, not {}", what, type_of(node)),
                    "Write `hooks: {before: [\"systemctl stop app\"], after: [\"systemctl start app\"]}`.");
            return out;
        }
        read_map(node, what, keys::hooks, {}, [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
            auto& hooks = key == "before" ? out.before : key == "after" ? out.after : out.on_failure;
            hooks = read_hook_list(value, fmt::format("`{}` of {}", key, what));
        });
        return out;
    }

    // A text is a line for the shell, a list a program and its arguments.
    std::vector<engine::Hook> read_hook_list(const YAML::Node& node, const std::string& what) {
        std::vector<engine::Hook> out;
        if (!node.IsSequence()) {
            problem(node, fmt::format("{} must be a list of commands, not {}", what, type_of(node)),
                    "Write it as `[\"systemctl stop app\"]`, or `[[systemctl, stop, app]]` without a shell.");
            return out;
        }
        for (const YAML::Node& each : node) {
            if (each.IsSequence()) {
                out.push_back({read_words(each, fmt::format("a command in {}", what))});
            } else if (const auto line = text(each, fmt::format("a command in {}", what))) {
                out.push_back(engine::shell_hook(*line));
            }
        }
        return out;
    }

    void read_objectives(const YAML::Node& node, const std::string& of, SourceConfig& source) {
        const std::string what = fmt::format("`objectives` of {}", of);
        if (!node.IsMap()) {
            problem(node, fmt::format("{} must be a map, not {}", what, type_of(node)), "Write `{rpo: 5m}`.");
            return;
        }
        read_map(node, what, keys::objectives, keys::objectives_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     source.rpo = read_duration(value, fmt::format("`{}` of {}", key, what));
                 });
    }

    std::optional<Nanoseconds> read_duration(const YAML::Node& node, const std::string& what) {
        const SourceOption option{"", SourceOption::Type::duration, ""};
        const std::vector<std::string> value = read_option(option, node, what);
        return value.empty() ? std::nullopt : parse_duration(value.front());
    }

    // The source's own rules, such as what must be given.
    void try_to_make(const SourceType& type, const SourceConfig& source, const YAML::Node& at) {
        try {
            type.make(source.name, source.options);
        } catch (const Error& error) {
            problem(at, fmt::format("source `{}`: {}", source.name, error.message()), error.hint());
        }
    }

    const SourceType* read_kind(const YAML::Node& map, const YAML::Node& at, const std::string& what) {
        std::vector<std::string_view> built;
        for (const SourceType* type : types_) built.push_back(type->kind);
        const YAML::Node kind = map["kind"];
        if (!kind) {
            problem(at, fmt::format("{} has no `kind`", what), fmt::format("There is {}.", list_of(built)));
            return nullptr;
        }
        const auto name = text(kind, fmt::format("`kind` of {}", what));
        if (!name) return nullptr;
        for (const SourceType* type : types_) {
            if (type->kind == *name) return type;
        }
        if (std::ranges::find(keys::kinds_planned, *name) != keys::kinds_planned.end()) {
            problem(kind,
                    fmt::format("kind `{}` is part of holdfast's design but this version does not build it yet", *name),
                    "Until then `kind: command` stores what its dump program prints.");
        } else {
            problem(kind, fmt::format("there is no kind `{}` of sources", *name),
                    hint_for(*name, built, keys::kinds_planned));
        }
        return nullptr;
    }

    std::vector<std::string> read_option(const SourceOption& option, const YAML::Node& node, const std::string& what) {
        if (option.type == SourceOption::Type::list) {
            if (!node.IsSequence()) {
                problem(node, fmt::format("{} must be a list, not {}", what, type_of(node)),
                        "Write it as `[one, two]`.");
                return {};
            }
            std::vector<std::string> out;
            for (const YAML::Node& each : node) {
                if (auto element = text(each, fmt::format("an element of {}", what)))
                    out.push_back(std::move(*element));
            }
            return out;
        }
        const auto value = text(node, what);
        if (!value) return {};
        switch (option.type) {
            case SourceOption::Type::flag: {
                bool is_on = false;
                if (!YAML::convert<bool>::decode(node, is_on))
                    problem(node, fmt::format("{} must be true or false, not `{}`", what, *value), "");
                return {is_on ? "true" : "false"};
            }
            case SourceOption::Type::size:
                if (!parse_size(*value))
                    problem(node, fmt::format("{} must be a size, not `{}`", what, *value),
                            "Sizes look like `512K`, `10M` or `1.5G`.");
                break;
            case SourceOption::Type::duration:
                if (!parse_duration(*value))
                    problem(node, fmt::format("{} must be a duration, not `{}`", what, *value),
                            "Durations look like `90s`, `15m` or `2h`.");
                break;
            case SourceOption::Type::secret:
                // Its text is not repeated: it may be the secret.
                if (!parse_reference(*value)) {
                    problem(node, fmt::format("{} must be a reference to a secret, never the secret itself", what),
                            "Write `env:NAME`, `file:PATH` or `exec:COMMAND`.");
                    return {};
                }
                break;
            case SourceOption::Type::reference:
            case SourceOption::Type::text:
            case SourceOption::Type::list:
                break;
        }
        return {*value};
    }

    // Relative to the folder of the file, so that it means the same wherever holdfast is started.
    std::string absolute(const std::string& path) const {
        if (path.starts_with("~/")) return home_folder() + path.substr(1);
        if (path.starts_with('/') || path.find("://") != std::string::npos || folder_.empty()) return path;
        return join_path(folder_, path);
    }

    const std::string folder_;
    const std::span<const SourceType* const> types_;
    ParsedConfig out_;
};

}  // namespace

ParsedConfig parse_config(std::string_view text, const std::string& path, std::span<const SourceType* const> types) {
    return Reader(path, types).read(text);
}

}  // namespace holdfast::app
