// app/secrets.h: where passphrases and key files come from; never from the command line.
//
// Shape    a secret is taken from the environment (and wiped there), from a file, from a command's output, or
//          asked for on the terminal
// Errors   config when a reference leads nowhere; usage when nobody can be asked; cancelled by Ctrl-C
// Threads  any; the environment is changed only by what was not taken before: take it before threads begin
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/world.h"

namespace holdfast::app {

// "env:NAME", "file:PATH" or "exec:COMMAND ARGS…", as it stands in the configuration.
struct SecretReference {
    enum class Kind : std::uint8_t { environment, file, command };
    Kind kind = Kind::file;
    std::string text;   // NAME, PATH or COMMAND
    std::string where;  // "holdfast.yaml:3:20: `unlock` of repository `main`", for messages
};
std::optional<SecretReference> parse_reference(std::string_view text);

// A key file is all of its bytes, a passphrase ends before a last line break.
enum class SecretForm : std::uint8_t { passphrase, whole };

// The program's words of "exec:"; no shell, but '…' and "…" keep words together.
std::vector<std::string> split_command(std::string_view text);

class Secrets {
public:
    explicit Secrets(World& world) : world_(world) {}

    // Takes the variable out of the environment (of /proc too) and remembers it. Nothing when unset or empty.
    std::optional<Secret> from_environment(const std::string& variable);
    // What it took, by variable: own children look for it in their environment.
    std::map<std::string, Secret> taken() const;
    Secret from_file(const std::string& path, SecretForm form);
    Secret resolve(const SecretReference& reference, SecretForm form);
    // A passphrase, an address or another line that a reference leads to.
    std::string text_of(const SecretReference& reference);
    // Says why a reference cannot work, as far as that is known without running a command.
    std::optional<std::string> problem_with(const SecretReference& reference);

    bool can_ask() const;
    // Without echo, on the terminal; usage when there is none.
    Secret ask(const std::string& prompt);
    Secret ask_twice(const std::string& prompt);
    // "[y/N]"; no when nobody can be asked.
    bool confirm(const std::string& question);

private:
    std::string read_answer(const std::string& prompt, bool echo);

    World& world_;
    mutable std::mutex mutex_;
    std::map<std::string, Secret> taken_;  // guarded by mutex_
};

}  // namespace holdfast::app
