#include <algorithm>

#include "app/config_jobs.h"
#include "app/config_yaml.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/compress.h"
#include "policy/expect.h"

namespace holdfast::app {

namespace {

namespace keys = config_keys;

class Reader : YamlReader {
public:
    Reader(const std::string& path, std::span<const SourceType* const> types, ParsedConfig& out)
        : YamlReader(path, out.problems), types_(types), out_(out) {
        out_.config.path = path;
    }

    void read(std::string_view text) {
        try {
            const YAML::Node root = YAML::Load(std::string(text));
            if (const auto wrong = problem_with_shape(root)) {
                out_.problems.push_back(*wrong);
            } else if (root.IsMap()) {
                read_top(root);
            } else {
                problem(root, "the configuration must be a map that begins with `version: 1`", "");
            }
        } catch (const YAML::Exception& error) {
            add(error.mark, fmt::format("this is not YAML: {}", error.msg), "");
        }
        std::ranges::stable_sort(out_.problems, {},
                                 [](const ConfigProblem& each) { return std::pair(each.line, each.column); });
    }

private:
    void read_top(const YAML::Node& root) {
        bool has_version = false;
        JobSections sections;
        const auto each_of = [&](const std::string& key, const YAML::Node& value,
                                 void (Reader::*reads)(const std::string&, const YAML::Node&, const YAML::Node&)) {
            read_named(value, key,
                       [&](const auto& name, const auto& at, const auto& each) { (this->*reads)(name, at, each); });
        };
        read_map(root, "the configuration", keys::top, keys::top_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     if (key == "version") {
                         has_version = true;
                         read_version(value);
                     } else if (key == "repositories") {
                         each_of(key, value, &Reader::read_repository);
                     } else if (key == "environments") {
                         each_of(key, value, &Reader::read_environment);
                     } else if (key == "sources") {
                         each_of(key, value, &Reader::read_source);
                     } else if (key == "retention") {
                         sections.retention = value;
                     } else if (key == "jobs") {
                         sections.jobs = value;
                     } else {
                         read_service(value);
                     }
                 });
        if (!has_version) problem(root, "`version` is missing", "Begin the file with `version: 1`.");
        check_replicas();
        // Last, as jobs name sources and repositories.
        read_jobs(sections, types_, out_);
    }

    void read_service(const YAML::Node& node) {
        if (!is_map(node, node, "`service`", "Write `service: {ledger: \"sqlite:ledger.db\"}`.")) return;
        out_.config.service.is_configured = true;
        read_map(node, "`service`", keys::service, keys::service_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     const auto given = text(value, fmt::format("`{}` of `service`", key));
                     if (!given) return;
                     ServiceConfig& service = out_.config.service;
                     if (given->starts_with("sqlite:")) {
                         service.ledger = "sqlite:" + absolute(given->substr(7));
                     } else if (parse_reference(*given) || given->starts_with("postgres://") ||
                                given->starts_with("postgresql://")) {
                         service.ledger = *given;
                     } else {
                         problem(value, fmt::format("`ledger` of `service` is no place for a ledger: `{}`", *given),
                                 "It is `sqlite:PATH`, `postgres://USER@HOST/DATABASE`, or a reference to one.");
                     }
                 });
    }

    void check_replicas() {
        std::vector<std::string> names;
        for (const RepositoryConfig& each : out_.config.repositories) names.push_back(each.name);
        for (const auto& [name, node] : replicas_) {
            const RepositoryConfig* const of = out_.config.repository(node.Scalar());
            if (of == nullptr) {
                problem(
                    node,
                    fmt::format("`replica_of` of repository `{}`: there is no repository `{}`", name, node.Scalar()),
                    hint_for(node.Scalar(), names));
            } else if (of->name == name || !of->replica_of.empty()) {
                problem(node,
                        fmt::format("repository `{}` is a replica of {}", name,
                                    of->name == name ? "itself" : fmt::format("the replica `{}`", of->name)),
                        "Name the repository that backups go to.");
            }
        }
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
        if (!is_map(value, at, what, fmt::format("Write `{}: {{url: /path/to/repository}}`.", name))) return;
        RepositoryConfig repository;
        repository.name = name;
        repository.where = place(at);
        bool has_url = false;
        read_map(value, what, keys::repository, keys::repository_planned,
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& member) {
                     if (key == "unlock") {
                         repository.unlock = read_unlock(member, what);
                         return;
                     }
                     if (key == "offsite") {
                         repository.offsite = flag(member, fmt::format("`{}` of {}", key, what)).value_or(false);
                         return;
                     }
                     if (key == "follow") {
                         repository.follow = flag(member, fmt::format("`{}` of {}", key, what)).value_or(false);
                         return;
                     }
                     if (key == "max_lag") {
                         repository.max_lag = duration(member, fmt::format("`{}` of {}", key, what));
                         return;
                     }
                     const auto given = text(member, fmt::format("`{}` of {}", key, what));
                     if (key == "url") {
                         has_url = true;
                         repository.url = absolute(given.value_or(""));
                         return;
                     }
                     if (!given) return;
                     if (key == "replica_of") replicas_.emplace_back(name, member);
                     std::string& field = key == "region"          ? repository.region
                                          : key == "endpoint"      ? repository.endpoint
                                          : key == "profile"       ? repository.profile
                                          : key == "addressing"    ? repository.addressing
                                          : key == "compression"   ? repository.compression
                                          : key == "storage_class" ? repository.storage_class
                                          : key == "encryption"    ? repository.encryption
                                          : key == "kms_key"       ? repository.kms_key
                                          : key == "site"          ? repository.site
                                          : key == "medium"        ? repository.medium
                                                                   : repository.replica_of;
                     field = *given;
                 });
        check_bucket(repository, value, what);
        if (!repository.compression.empty() && !codec::compression_named(repository.compression))
            problem(value["compression"],
                    fmt::format("`compression` of {} is not known: `{}`", what, repository.compression),
                    fmt::format("It is one of {}.", fmt::join(codec::compressions, ", ")));
        for (const char* key : {"follow", "max_lag"})
            if (value[key] && !value["replica_of"])
                problem(value[key], fmt::format("`{}` of {} goes with `replica_of`", key, what),
                        "It says which repository's snapshots are copied to it.");
        if (value["max_lag"] && !repository.follow)
            problem(value["max_lag"], fmt::format("`max_lag` of {} goes with `follow: true`", what), "");
        if (!has_url) problem(at, fmt::format("{} has no `url`", what), "A folder's path is a `url` too.");
        out_.config.repositories.push_back(std::move(repository));
    }

    void check_bucket(const RepositoryConfig& repository, const YAML::Node& node, const std::string& what) {
        const auto at = [&](const char* key) { return node[key]; };
        if (!repository.encryption.empty() &&
            std::ranges::find(keys::encryption, repository.encryption) == keys::encryption.end())
            problem(at("encryption"),
                    fmt::format("`encryption` of {}: no store knows `{}`", what, repository.encryption),
                    "It is `AES256`, `aws:kms` or `aws:kms:dsse`.");
        if (!repository.addressing.empty() &&
            std::ranges::find(keys::addressing, repository.addressing) == keys::addressing.end())
            problem(at("addressing"), fmt::format("`addressing` of {} is `host` or `path`", what),
                    "`https://BUCKET.ENDPOINT/…` or `https://ENDPOINT/BUCKET/…`.");
        if (!repository.kms_key.empty() && !repository.encryption.starts_with("aws:kms"))
            problem(at("kms_key"), fmt::format("`kms_key` of {} goes with `encryption: aws:kms`", what), "");
        if (std::ranges::find(keys::thawed_classes, repository.storage_class) != keys::thawed_classes.end())
            problem(at("storage_class"),
                    fmt::format("`storage_class` of {}: what is in {} can be read after hours only", what,
                                repository.storage_class),
                    "Use `STANDARD_IA` or `GLACIER_IR`.");
        const bool is_set = !repository.storage_class.empty() || !repository.encryption.empty() ||
                            !repository.kms_key.empty() || !repository.profile.empty() ||
                            !repository.addressing.empty();
        if (is_set && !repository.url.starts_with("s3://"))
            problem(
                node,
                fmt::format(
                    "`storage_class`, `encryption`, `profile` and `addressing` of {} are for buckets (`s3://…`)", what),
                "");
    }

    std::optional<UnlockConfig> read_unlock(const YAML::Node& node, const std::string& of) {
        if (!node.IsMap()) {
            problem(node, fmt::format("`unlock` of {} must be a map, not {}", of, type_of(node)),
                    "Write `unlock: {passphrase: \"file:/etc/holdfast/pass\"}`.");
            return std::nullopt;
        }
        std::optional<UnlockConfig> out;
        read_map(
            node, fmt::format("`unlock` of {}", of), keys::unlock, {},
            [&](const std::string& key, const YAML::Node& at, const YAML::Node& value) {
                if (out) {
                    problem(at, fmt::format("`unlock` of {} has more than one way", of),
                            "Keep one of `passphrase`, `keyfile` and `credential`.");
                    return;
                }
                out.emplace();
                out->way = key == "passphrase" ? repo::Unlock::Way::passphrase : repo::Unlock::Way::keyfile;
                out->is_credential = key == "credential";
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
        if (!is_map(value, at, what, fmt::format("Write `{}: {{kind: files, paths: [/srv]}}`.", name))) return;
        const SourceType* const type = read_kind(value, at, what);
        if (type == nullptr) return;
        std::vector<std::string_view> built{"kind"};
        for (const SourceOption& option : type->options) built.push_back(option.name);
        built.insert(built.end(), keys::every_source.begin() + 1, keys::every_source.end());
        std::vector<std::string_view> planned(keys::source_planned.begin(), keys::source_planned.end());
        const bool later =
            std::ranges::find(keys::kinds_followed_later, type->kind) != keys::kinds_followed_later.end();
        if (type->has_journal || later) {
            std::vector<std::string_view>& where = type->has_journal ? built : planned;
            where.insert(where.end(), keys::followed_source.begin(), keys::followed_source.end());
        }
        const std::size_t problems_before = problem_count();
        SourceConfig source{name, std::string(type->kind), {}, place(at)};
        read_map(value, what, built, planned, [&](const std::string& key, const YAML::Node&, const YAML::Node& member) {
            if (key == "kind") return;
            if (key == "checks") {
                source.checks = read_checks(member, *type, what);
                return;
            }
            if (key == "hooks") {
                source.hooks = hooks(member, what);
                return;
            }
            if (key == "objectives") {
                read_objectives(member, what, source);
                return;
            }
            if (key == "criticality") {
                const std::string of = fmt::format("`criticality` of {}", what);
                if (const auto each = choice(member, of, policy::criticality_names))
                    source.criticality = policy::Criticality{static_cast<std::uint8_t>(*each)};
                return;
            }
            if (key == "component") {
                source.component = text(member, fmt::format("`component` of {}", what)).value_or("");
                return;
            }
            if (key == "domain") {
                const std::string of = fmt::format("`domain` of {}", what);
                source.domain = text(member, of).value_or("");
                if (!source.domain.empty() && !is_plain_name(source.domain))
                    problem(member, fmt::format("{} is no name", of), "A name has letters, digits, `-`, `_` and `.`.");
                return;
            }
            if (key == "window") {
                source.window = duration(member, fmt::format("`window` of {}", what));
                return;
            }
            if (key == "follow") {
                source.follow = flag(member, fmt::format("`follow` of {}", what)).value_or(false);
                return;
            }
            const auto option = std::ranges::find(type->options, key, &SourceOption::name);
            std::vector<std::string>& values = source.options[key];
            values = read_option(*option, member, fmt::format("`{}` of {}", key, what));
            if (std::ranges::find(keys::path_options, key) == keys::path_options.end()) return;
            for (std::string& path : values) path = absolute(path);
        });
        if (problem_count() == problems_before) try_to_make(*type, source, at);
        out_.config.sources.push_back(std::move(source));
    }

    // Sources need not be configured: a snapshot may be of one that was given on the command line.
    void read_environment(const std::string& name, const YAML::Node& at, const YAML::Node& value) {
        const std::string what = fmt::format("environment `{}`", name);
        if (!value.IsMap() || value.size() == 0) {
            problem(value.IsNull() ? at : value,
                    fmt::format("{} must be a map of sources, not {}", what, type_of(value)),
                    fmt::format("Write `{}: {{orders-db: \"env:STAGING_URL\"}}`.", name));
            return;
        }
        EnvironmentConfig out{name, {}, place(at)};
        for (const auto& pair : value) {
            const auto source = text(pair.first, fmt::format("the name of a source in {}", what));
            auto target = text(pair.second, fmt::format("the target of `{}` in {}", source.value_or(""), what));
            if (!source || !target) continue;
            if (!parse_reference(*target)) *target = absolute(*target);
            if (!out.targets.emplace(*source, std::move(*target)).second)
                problem(pair.first, fmt::format("`{}` stands twice in {}", *source, what), "Keep one of them.");
        }
        out_.config.environments.push_back(std::move(out));
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
        if (!is_map(node, node, what, "Write `{exec: [/usr/local/bin/check]}`.")) return std::nullopt;
        const std::size_t problems_before = problem_count();
        engine::Check out;
        std::vector<std::string> ways;
        bool has_expect = false;
        read_map(node, what, keys::check, {},
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
        if (problem_count() != problems_before) return std::nullopt;
        if (ways.size() != 1) {
            problem(node, fmt::format("{} has {} of `sql`, `exec` and `http`", what, ways.empty() ? "none" : "several"),
                    "A check is one of them.");
        } else if (ways[0] == "http") {
            if (!has_expect) out.expect = "200";
        } else if (has_expect != (ways[0] == "sql")) {
            problem(node,
                    has_expect ? fmt::format("{} has `expect`, but `exec` passes when it exits 0", what)
                               : fmt::format("{} has no `expect`", what),
                    has_expect ? "Remove `expect`." : "Write what the query must give, such as `expect: \">0\"`.");
        }
        return problem_count() == problems_before ? std::optional(std::move(out)) : std::nullopt;
    }

    void read_check_way(const std::string& key, const YAML::Node& at, const YAML::Node& value, const SourceType& type,
                        const std::string& what, engine::Check& out) {
        if (key == "exec") {
            out.kind = engine::Check::Kind::exec;
            out.exec = words(value, fmt::format("`exec` of {}", what));
            return;
        }
        if (key == "http") {
            out.kind = engine::Check::Kind::http;
            const auto url = text(value, fmt::format("`http` of {}", what));
            if (url && !url->starts_with("http://") && !url->starts_with("https://"))
                problem(value, fmt::format("`http` of {} must be a URL, not `{}`", what, *url),
                        "Write `http: \"http://127.0.0.1:8080/health\"`.");
            out.url = url.value_or("");
            return;
        }
        if (type.query == nullptr)
            problem(at, fmt::format("{} has `sql`, but a source of kind `{}` answers no queries", what, type.kind),
                    "Use `exec`.");
        if (auto sql = text(value, fmt::format("`sql` of {}", what))) out.sql = std::move(*sql);
    }

    void read_check_timeout(const YAML::Node& value, const std::string& what, engine::Check& out) {
        const auto timeout = duration(value, fmt::format("`timeout` of {}", what));
        if (timeout && *timeout == 0) problem(value, fmt::format("`timeout` of {} must be longer than 0", what), "");
        if (timeout) out.timeout = *timeout;
    }

    void read_expectation(const YAML::Node& value, const std::string& what, engine::Check& out) {
        const auto words = text(value, fmt::format("`expect` of {}", what));
        if (!words) return;
        out.expect = *words;
        if (const auto wrong = policy::problem_with_expectation(*words))
            problem(value, fmt::format("`expect` of {}: {}: `{}`", what, *wrong, *words),
                    "It is `>0`, `>=`, `<`, `<=`, `=`, `!=`, `~REGEX`, or the text itself.");
    }

    void read_objectives(const YAML::Node& node, const std::string& of, SourceConfig& source) {
        const std::string what = fmt::format("`objectives` of {}", of);
        if (!is_map(node, node, what, "Write `{rpo: 5m, rto: 1h}`.")) return;
        read_map(node, what, keys::objectives, {},
                 [&](const std::string& key, const YAML::Node&, const YAML::Node& value) {
                     (key == "rpo" ? source.rpo : source.rto) = duration(value, fmt::format("`{}` of {}", key, what));
                 });
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
        if (option.type == SourceOption::Type::list) return texts(node, what);
        const auto value = text(node, what);
        if (!value) return {};
        switch (option.type) {
            case SourceOption::Type::flag:
                return {flag(node, what).value_or(false) ? "true" : "false"};
            case SourceOption::Type::size:
                size(node, what);
                break;
            case SourceOption::Type::duration:
                duration(node, what);
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

    const std::span<const SourceType* const> types_;
    ParsedConfig& out_;
    std::vector<std::pair<std::string, YAML::Node>> replicas_;  // names of repositories, and what they replicate
};

}  // namespace

ParsedConfig parse_config(std::string_view text, const std::string& path, std::span<const SourceType* const> types) {
    ParsedConfig out;
    Reader(path, types, out).read(text);
    return out;
}

}  // namespace holdfast::app
