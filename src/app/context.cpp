#include "app/context.h"

#include <unistd.h>

#include <cstdlib>

#include "app/patience.h"
#include "app/registry.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "codec/compress.h"
#include "repo/credential_file.h"
#include "repo/names.h"
#include "store/in_parts.h"
#include "store/read_back.h"

namespace holdfast::app {

namespace {

constexpr std::size_t key_file_bytes_min = 32;

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// A path or URL, no name of the configuration.
bool is_place(const std::string& repository) {
    return repository.find('/') != std::string::npos || repository == "." || repository == "..";
}

RepositoryChoice choice_of(const RepositoryConfig& configured) {
    return {configured.name,
            {configured.url, configured.endpoint, configured.region, configured.storage_class, configured.encryption,
             configured.kms_key, configured.profile, configured.addressing},
            configured.unlock,
            false,
            configured.compression};
}

codec::Compression compression_of(const std::string& given, const std::string& configured) {
    return codec::compression_named(given.empty() ? configured : given).value_or(codec::usual_compression);
}

}  // namespace

Context::Context(World& in_world, Output& output, const Globals& given, std::vector<std::string> words_after_dashes)
    : own_secrets_(std::make_unique<Secrets>(in_world)),
      world(in_world),
      out(output),
      globals(given),
      secrets(*own_secrets_),
      command_line(std::move(words_after_dashes)) {}

Context::Context(Context& whole, World& in_world, const Globals& given)
    : world(in_world), out(whole.out), globals(given), secrets(whole.secrets) {}

std::string Context::domain_of(std::string_view source, const std::optional<std::string>& given) {
    if (given) return *given;
    const SourceConfig* const configured = config().source(source);
    return configured == nullptr ? "" : configured->domain;
}

std::optional<std::string> Context::config_path() const {
    if (!globals.config.empty()) return globals.config;
    if (std::string given = variable("HOLDFAST_CONFIG"); !given.empty()) return given;
    for (const std::string& place : config_places()) {
        if (::access(place.c_str(), F_OK) == 0) return place;
    }
    return std::nullopt;
}

const Config& Context::config() {
    if (!config_) {
        const auto path = config_path();
        if (globals.config_text)
            config_ = checked_config(*globals.config_text, path.value_or("standard input"), source_types());
        else
            config_ = path ? load_config(*path, source_types()) : Config{};
    }
    return *config_;
}

void Context::pass_over_broken_config() {
    const std::string wanted = globals.repository.empty() ? variable("HOLDFAST_REPO") : globals.repository;
    const bool is_named = !globals.config.empty() || globals.config_text || !variable("HOLDFAST_CONFIG").empty();
    if (config_ || is_named || !is_place(wanted)) return;
    try {
        config();
    } catch (const Error& error) {
        if (error.code() != Code::config) throw;
        out.warn(fmt::format("the configuration is not used, as it is broken: {}", error.message()));
        config_ = Config{};
    }
}

RepositoryChoice Context::choose_repository(const std::string& text) {
    const std::string wanted = text.empty() ? variable("HOLDFAST_REPO") : text;
    if (is_place(wanted)) {
        if (!text.empty()) warn_of_password(out, text);
        return {wanted, {wanted}};
    }
    const std::vector<RepositoryConfig>& known = config().repositories;
    std::vector<std::string> names;
    for (const RepositoryConfig& each : known) names.push_back(each.name);
    if (wanted.empty()) {
        if (const RepositoryConfig* main = config().main_repository()) return choice_of(*main);
        if (known.empty())
            throw Error{Code::usage, "no repository is named"}.hint(
                "Use `-r PATH`, set HOLDFAST_REPO, or name one under `repositories` in the configuration.");
        throw Error{Code::usage, "the configuration has {} repositories: {}", known.size(), join(names, ", ")}.hint(
            "Choose one with `-r NAME`.");
    }
    if (const RepositoryConfig* named = config().repository(wanted)) return choice_of(*named);
    if (::access(wanted.c_str(), F_OK) != 0) {
        if (const auto near = nearest(wanted, names))
            throw Error{Code::no_repository,
                        "there is no repository `{}`, neither in the configuration nor as a folder", wanted}
                .hint(fmt::format("Did you mean `{}`?", *near));
    }
    return {wanted, {wanted}};
}

std::string Context::repository_name() {
    return config().repository_named(globals.repository.empty() ? variable("HOLDFAST_REPO") : globals.repository);
}

SecretPlaces Context::usual_places() const {
    return {globals.key_file, "HOLDFAST_KEY_FILE", "HOLDFAST_PASSWORD", "HOLDFAST_PASSWORD_FILE"};
}

repo::Unlock Context::key_file_unlock(Secret secret, const std::string& from) const {
    if (auto credential = repo::read_credential_file(secret.reveal())) return std::move(*credential);
    if (secret.size() < key_file_bytes_min)
        throw Error{Code::usage, "the key file {} has {} bytes; it takes at least {}", from, secret.size(),
                    key_file_bytes_min}
            .hint("`holdfast key generate FILE` makes a good one.");
    return {repo::Unlock::Way::keyfile, std::move(secret)};
}

std::optional<repo::Unlock> Context::unlock_from(const SecretPlaces& places,
                                                 const std::optional<UnlockConfig>& configured) {
    using Way = repo::Unlock::Way;
    const auto read_key_file = [&](const std::string& path) {
        const Note note{"reading the key file {}", path};
        return key_file_unlock(secrets.from_file(path, SecretForm::whole), path);
    };
    if (!places.key_file.empty()) return read_key_file(places.key_file);
    if (const std::string path = variable(places.key_file_variable.c_str()); !path.empty()) return read_key_file(path);
    if (!places.password_variable.empty()) {
        if (auto secret = secrets.from_environment(places.password_variable))
            return repo::Unlock{Way::passphrase, std::move(*secret)};
    }
    if (const std::string path = variable(places.password_file_variable.c_str()); !path.empty()) {
        const Note note{"reading the passphrase's file {}", path};
        return repo::Unlock{Way::passphrase, secrets.from_file(path, SecretForm::passphrase)};
    }
    if (!configured) return std::nullopt;
    if (configured->way == Way::keyfile) {
        const Note note{"reading {}", configured->secret.text};
        repo::Unlock unlock =
            key_file_unlock(secrets.resolve(configured->secret, SecretForm::whole), configured->secret.text);
        if (configured->is_credential && !unlock.known)
            throw Error{Code::config, "{}: {} is no credential file", configured->secret.where, configured->secret.text}
                .unharmed("nothing was read or written")
                .hint("It is made by `holdfast key add --new-credential FILE`. Of a plain key file write `keyfile`.");
        return unlock;
    }
    return repo::Unlock{Way::passphrase, secrets.resolve(configured->secret, SecretForm::passphrase)};
}

std::unique_ptr<repo::Repository> Context::open_repository(repo::NotesFrom notes) {
    return open_repository(choose_repository(globals.repository), usual_places(), notes);
}

std::unique_ptr<Store> Context::open_store_of(const RepositoryChoice& choice, Nanoseconds patience) {
    // One that never answers is given up soon: its address is wrong, or nobody can wait for it.
    const RetryBudget budget{.total = patience, .before_answer = patience_or(10 * one_second)};
    std::unique_ptr<Store> store = open_store(choice.place, StoreUse::open, world, budget);
    std::shared_ptr<TrafficMeter>& meter = traffic_[store->url()];
    if (!meter) meter = std::make_shared<TrafficMeter>();
    store = std::make_unique<MeasuredStore>(std::move(store), meter);
    store = std::make_unique<ReadInParts>(std::move(store));
    const Bandwidth& limit = globals.limit;
    if (limit.up != 0 || limit.down != 0) store = std::make_unique<LimitedStore>(std::move(store), limit, world);
    if (choice.reads_back) store = std::make_unique<ReadBackStore>(std::move(store));
    return store;
}

std::unique_ptr<repo::Repository> Context::open_repository(const RepositoryChoice& choice, const SecretPlaces& places,
                                                           repo::NotesFrom notes) {
    if (const auto unlock = unlock_from(places, choice.unlock)) return open_repository(choice, *unlock, notes);
    // Whether there is one is said before anybody is asked for its passphrase.
    const std::unique_ptr<Store> store = open_store_of(choice, patience_or(10 * one_second));
    if (!store->find(repo::names::config))
        throw Error{Code::no_repository, "there is no repository in {}", store->url()}.hint(
            fmt::format("Make one with `holdfast -r {} init`.", choice.name));
    if (globals.no_input || !secrets.can_ask())
        throw Error{Code::usage, "no passphrase or key file for {} is given", choice.name}.hint(fmt::format(
            "Set {} or {}, or give a key file with {}.",
            places.password_file_variable.empty() ? "`unlock` in the configuration" : places.password_file_variable,
            places.password_variable, places.key_file_variable.empty() ? "--to-key-file" : "--key-file"));
    return open_by_asking(choice, notes);
}

std::unique_ptr<repo::Repository> Context::open_repository(const RepositoryChoice& choice, const repo::Unlock& unlock,
                                                           repo::NotesFrom notes) {
    return repo::Repository::open(open_store_of(choice, patience_or(60 * one_second)), unlock,
                                  {state_folder(), notes, compression_of(globals.compression, choice.compression)},
                                  world);
}

std::unique_ptr<repo::Repository> Context::open_by_asking(const RepositoryChoice& choice, repo::NotesFrom notes) {
    constexpr int tries_max = 3;
    for (int attempt = 1;; ++attempt) {
        const repo::Unlock unlock{repo::Unlock::Way::passphrase,
                                  secrets.ask(fmt::format("Passphrase of {}: ", printable(choice.name)))};
        try {
            return open_repository(choice, unlock, notes);
        } catch (const Error& error) {
            if (error.code() != Code::wrong_key || attempt == tries_max) throw;
            out.warn("this passphrase is wrong; try again");
        }
    }
}

repo::Unlock Context::new_unlock(const SecretPlaces& places, const std::optional<UnlockConfig>& configured,
                                 const std::string& prompt) {
    if (auto unlock = unlock_from(places, configured)) return std::move(*unlock);
    if (globals.no_input || !secrets.can_ask())
        throw Error{Code::usage, "no passphrase or key file is given"}.hint(
            fmt::format("Set {} or {}, or name a key file.", places.password_file_variable, places.password_variable));
    return {repo::Unlock::Way::passphrase, secrets.ask_twice(prompt)};
}

bool Context::confirm(const std::string& question) {
    if (globals.yes || globals.no_input || out.is_json() || isatty(STDIN_FILENO) != 1 || !secrets.can_ask())
        return true;
    return secrets.confirm(question);
}

void warn_of_password(Output& out, const std::string& url) {
    if (has_password(url))
        out.warn(
            "a password on the command line can be seen by everybody on this machine; give it by the "
            "environment or a file");
}

}  // namespace holdfast::app
