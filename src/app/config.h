// app/config.h: the configuration file: what it says, and everything that is wrong with it.
//
// Shape    parse_config() reads a text and gathers all problems; load_config() throws the first of them
// Errors   config, "FILE:LINE:COLUMN: …" with the nearest right name as the hint
// Source   doc/guide/configuration.md; design section 7
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/secrets.h"
#include "base/error.h"
#include "engine/checks.h"
#include "policy/job.h"
#include "repo/repository.h"
#include "source/source.h"

namespace holdfast::app {

// Letters, digits, `-`, `_` and `.`, beginning with no sign.
bool is_plain_name(std::string_view name);

struct UnlockConfig {
    repo::Unlock::Way way = repo::Unlock::Way::passphrase;
    SecretReference secret;
    bool is_credential = false;  // a key file that names its repository
};

struct RepositoryConfig {
    std::string name;
    std::string url;
    std::string endpoint;  // of an object store; empty: what the environment says
    std::string region;
    std::string profile = {};     // of the shared configuration of object stores
    std::string addressing = {};  // "host" or "path"; empty: as usual
    std::optional<UnlockConfig> unlock;
    std::string compression = {};    // codec::compressions; empty: as usual
    std::string storage_class = {};  // of packs of contents in an object store
    std::string encryption = {};     // by the store
    std::string kms_key = {};
    std::string site = {};    // where its machines stand; empty: not said
    std::string medium = {};  // "disk", "object store", "tape" …
    bool offsite = false;
    std::string replica_of = {};              // the name of another repository
    bool follow = false;                      // `serve` keeps it up to date
    std::optional<Nanoseconds> max_lag = {};  // it lacks nothing that is older
    std::string where = {};
};

struct SourceConfig {
    std::string name;
    std::string kind;
    SourceOptions options;
    std::string where;  // "holdfast.yaml:7:3"
    std::vector<engine::Check> checks = {};
    policy::Hooks hooks = {};
    bool follow = false;
    std::optional<Nanoseconds> window = {};  // how long every instant stays reachable
    std::optional<Nanoseconds> rpo = {};     // no more than this may be lost
    std::optional<Nanoseconds> rto = {};     // it shall be back within this time
    policy::Criticality criticality = policy::Criticality::normal;
    std::string component = {};  // as reports group it; empty: by its kind
    std::string domain = {};     // of deduplication; empty: that of the key in use
};

// Where sources are restored to by one name: `--to staging`.
struct EnvironmentConfig {
    std::string name;
    std::map<std::string, std::string, std::less<>> targets;  // by source: a folder, a URL, or a reference to either
    std::string where;
};

struct RetentionConfig {
    std::string name;
    policy::Retention rules;
    std::string where;
};

// "sqlite:/var/lib/holdfast/ledger.db"; below the state folder for who is not root, or says where that is.
std::string default_ledger();

struct ServiceConfig {
    std::string ledger = default_ledger();  // or "postgres://…", or a reference to one
    bool is_configured = false;
};

struct Config {
    std::string path;  // empty: there is no configuration file
    std::vector<RepositoryConfig> repositories;
    std::vector<SourceConfig> sources;
    std::vector<EnvironmentConfig> environments = {};
    std::vector<RetentionConfig> retention = {};
    std::vector<policy::Job> jobs = {};
    ServiceConfig service = {};

    // Also those by hand.
    bool records_runs() const { return service.is_configured || !jobs.empty(); }
    const RepositoryConfig* repository(std::string_view name) const;
    // The only one that is no replica; null: there is none, or more than one.
    const RepositoryConfig* main_repository() const;
    // How runs call it: the name of one that was given by its URL, the main one's for "", else what was given.
    std::string repository_named(const std::string& name_or_url) const;
    const SourceConfig* source(std::string_view name) const;
    const EnvironmentConfig* environment(std::string_view name) const;
    const policy::Job* job(std::string_view name) const;
    // Configured rules, or a class that everybody has.
    std::optional<policy::Retention> rules(std::string_view retention) const;
};

struct ConfigProblem {
    std::size_t line = 0;  // from 1; 0: of the file as a whole
    std::size_t column = 0;
    std::string text;
    std::string hint;
};

struct ParsedConfig {
    Config config;
    std::vector<ConfigProblem> problems;  // in the order of the file
};

// `path` names the file in messages, and what is relative in it is so to its folder.
ParsedConfig parse_config(std::string_view text, const std::string& path, std::span<const SourceType* const> types);

Error error_of(const ConfigProblem& problem, const std::string& path);

// Where a file is looked for when none is named, best first.
std::vector<std::string> config_places();

// The file's content; config when it cannot be read.
std::string read_config(const std::string& path);
// Throws the first of its problems.
Config checked_config(std::string_view text, const std::string& path, std::span<const SourceType* const> types);
Config load_config(const std::string& path, std::span<const SourceType* const> types);

// "https://user:secret@host/": a password where others can read it.
bool has_password(std::string_view url);

// JSON Schema of the file, for editors.
std::string config_schema(std::span<const SourceType* const> types);

}  // namespace holdfast::app
