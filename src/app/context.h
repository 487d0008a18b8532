// app/context.h: what every verb works with: options, configuration, secrets, output, repositories.
//
// Errors   config, usage, no_repository, wrong_key and what opening a repository throws
// Threads  one each; `secrets` is shared by all parts of a whole
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/config.h"
#include "app/output.h"
#include "app/registry.h"
#include "app/secrets.h"
#include "base/world.h"
#include "repo/repository.h"
#include "store/measure.h"

namespace holdfast::app {

// Which repository, and how it is unlocked unless the command line or the environment says otherwise.
struct RepositoryChoice {
    std::string name;  // as the user knows it
    StorePlace place;
    std::optional<UnlockConfig> unlock = {};
    bool reads_back = false;       // what is written there is believed when it was read back
    std::string compression = {};  // of what is written there; empty: as usual
};

// Where one repository's secret may come from, best first; then the configuration, then the terminal.
struct SecretPlaces {
    std::string key_file;           // from an option; empty: none
    std::string key_file_variable;  // names of environment variables; empty: none
    std::string password_variable;
    std::string password_file_variable;
};

class Recorder;

class Context {
    std::unique_ptr<Secrets> own_secrets_;

public:
    Context(World& world, Output& out, const Globals& globals, std::vector<std::string> words_after_dashes);
    // For a part of what `whole` does, which has to outlive it. The secrets are those of the whole: what one part took out of
    // the environment, the next one finds.
    Context(Context& whole, World& world, const Globals& globals);

    World& world;
    Output& out;
    const Globals& globals;
    Secrets& secrets;
    const std::vector<std::string> command_line;  // what followed "--"
    Recorder* recorder = nullptr;                 // of the run that this is, or is part of; none: it is not recorded

    // Read when first wanted; empty when there is no file.
    const Config& config();
    // For what has to work in an emergency: a file that nobody named and that is broken is warned of and passed over, where
    // the repository is given by its place. config() is empty then.
    void pass_over_broken_config();
    // The dedup domain of a source: what the command line says, or its configuration; empty: the key's own.
    std::string domain_of(std::string_view source, const std::optional<std::string>& given);
    // Of the file that config() reads; nothing when there is none.
    std::optional<std::string> config_path() const;

    // `text`: a configured name, a path or a URL; empty: HOLDFAST_REPO, else the only configured one.
    RepositoryChoice choose_repository(const std::string& text);
    // How runs call the one of -r.
    std::string repository_name();
    // The repository of -r.
    std::unique_ptr<repo::Repository> open_repository(repo::NotesFrom notes = repo::NotesFrom::listing);
    std::unique_ptr<repo::Repository> open_repository(const RepositoryChoice& choice, const SecretPlaces& places,
                                                      repo::NotesFrom notes = repo::NotesFrom::listing);
    std::unique_ptr<repo::Repository> open_repository(const RepositoryChoice& choice, const repo::Unlock& unlock,
                                                      repo::NotesFrom notes = repo::NotesFrom::listing);
    // What lies there, without unlocking it.
    std::unique_ptr<Store> open_store_of(const RepositoryChoice& choice, Nanoseconds patience = 60 * one_second);
    // What was asked of each store so far, by its URL.
    const std::map<std::string, std::shared_ptr<TrafficMeter>>& traffic() const { return traffic_; }
    SecretPlaces usual_places() const;
    // For a slot that is to be made: asks twice when nothing else gives it.
    repo::Unlock new_unlock(const SecretPlaces& places, const std::optional<UnlockConfig>& configured,
                            const std::string& prompt);

    // True when nobody can be asked, or the answer is yes.
    bool confirm(const std::string& question);

private:
    // Nothing: it has to be asked for.
    std::optional<repo::Unlock> unlock_from(const SecretPlaces& places, const std::optional<UnlockConfig>& configured);
    repo::Unlock key_file_unlock(Secret secret, const std::string& from) const;
    std::unique_ptr<repo::Repository> open_by_asking(const RepositoryChoice& choice, repo::NotesFrom notes);

    std::optional<Config> config_;
    std::map<std::string, std::shared_ptr<TrafficMeter>> traffic_;
};

// Says so when a URL given on the command line holds a password, where everybody can see it.
void warn_of_password(Output& out, const std::string& url);

}  // namespace holdfast::app
