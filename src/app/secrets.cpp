#include "app/secrets.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast::app {

namespace {

constexpr std::size_t secret_bytes_max = 1024 * 1024;

std::string_view without_line_break(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

// Echo off for as long as this lives.
class Hush {
public:
    Hush(int terminal, bool echo) : terminal_(terminal) {
        if (echo || tcgetattr(terminal, &before_) != 0) return;
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        is_changed_ = tcsetattr(terminal, TCSAFLUSH, &quiet) == 0;
    }
    ~Hush() {
        if (is_changed_) tcsetattr(terminal_, TCSAFLUSH, &before_);
    }
    Hush(const Hush&) = delete;
    Hush& operator=(const Hush&) = delete;

private:
    int terminal_;
    bool is_changed_ = false;
    termios before_{};
};

Fd open_terminal() {
    if (isatty(STDERR_FILENO) != 1) return {};
    return Fd(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
}

Error where_it_stands(const SecretReference& reference, const std::string& what) {
    if (reference.where.empty()) return Error{Code::config, "{}", what};
    return Error{Code::config, "{}: {}", reference.where, what};
}

}  // namespace

std::optional<SecretReference> parse_reference(std::string_view text) {
    const auto after = [&](std::string_view scheme) -> std::optional<std::string> {
        if (!text.starts_with(scheme) || text.size() == scheme.size()) return std::nullopt;
        return std::string(text.substr(scheme.size()));
    };
    using Kind = SecretReference::Kind;
    if (const auto name = after("env:")) return SecretReference{Kind::environment, *name, ""};
    if (const auto path = after("file:")) return SecretReference{Kind::file, *path, ""};
    if (const auto command = after("exec:")) return SecretReference{Kind::command, *command, ""};
    return std::nullopt;
}

std::vector<std::string> split_command(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = '\0';
    for (const char c : text) {
        if (quote != '\0') {
            c == quote ? static_cast<void>(quote = '\0') : word.push_back(c);
        } else if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (c == ' ' || c == '\t') {
            if (in_word) words.push_back(std::exchange(word, {}));
            in_word = false;
        } else {
            word.push_back(c);
            in_word = true;
        }
    }
    if (in_word) words.push_back(word);
    return words;
}

std::optional<Secret> Secrets::from_environment(const std::string& variable) {
    const std::lock_guard lock(mutex_);
    if (const auto known = taken_.find(variable); known != taken_.end()) return known->second;
    char* const value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    const std::size_t length = std::strlen(value);
    const Secret secret(as_bytes({value, length}));
    explicit_bzero(value, length);  // so that /proc/…/environ does not show it either
    unsetenv(variable.c_str());
    taken_.emplace(variable, secret);
    return secret;
}

std::map<std::string, Secret> Secrets::taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
}

Secret Secrets::from_file(const std::string& path, SecretForm form) {
    const Bytes bytes = read_file(path);
    if (bytes.size() > secret_bytes_max)
        throw Error{Code::failed, "{} has {} bytes, too many for a secret", path, bytes.size()};
    const std::string_view text = as_text(bytes);
    const Secret secret(as_bytes(form == SecretForm::whole ? text : without_line_break(text)));
    if (secret.empty()) throw Error{Code::config, "{} is empty", path};
    return secret;
}

Secret Secrets::resolve(const SecretReference& reference, SecretForm form) {
    switch (reference.kind) {
        case SecretReference::Kind::environment:
            if (auto secret = from_environment(reference.text)) return std::move(*secret);
            throw where_it_stands(reference, fmt::format("environment variable {} is not set", reference.text));
        case SecretReference::Kind::file:
            if (const auto problem = problem_with(reference)) throw where_it_stands(reference, *problem);
            return from_file(reference.text, form);
        case SecretReference::Kind::command:
            break;
    }
    ChildOptions child;
    child.argv = split_command(reference.text);
    if (child.argv.empty()) throw where_it_stands(reference, "there is no command after `exec:`");
    const Note note{"asking `{}` for a secret", child.argv[0]};
    const Bytes printed = run_and_read(child);
    const std::string_view text = as_text(printed);
    Secret secret(as_bytes(form == SecretForm::whole ? text : without_line_break(text)));
    if (secret.empty()) throw where_it_stands(reference, fmt::format("`{}` printed nothing", child.argv[0]));
    return secret;
}

std::string Secrets::text_of(const SecretReference& reference) {
    return std::string(as_text(resolve(reference, SecretForm::passphrase).reveal()));
}

std::optional<std::string> Secrets::problem_with(const SecretReference& reference) {
    if (reference.kind == SecretReference::Kind::environment) {
        if (!from_environment(reference.text)) return fmt::format("environment variable {} is not set", reference.text);
    } else if (reference.kind == SecretReference::Kind::file) {
        const Fd fd(::open(reference.text.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd) return fmt::format("cannot open the secret's file {}: {}", reference.text, errno_text(errno));
    } else if (split_command(reference.text).empty()) {
        return "there is no command after `exec:`";
    }
    return std::nullopt;
}

bool Secrets::can_ask() const { return static_cast<bool>(open_terminal()); }

std::string Secrets::read_answer(const std::string& prompt, bool echo) {
    const Fd terminal = open_terminal();
    if (!terminal) throw Error{Code::usage, "there is no terminal to ask on"};
    write_all(terminal.get(), as_bytes(prompt), "the terminal");
    std::string answer;
    {
        const Hush hush(terminal.get(), echo);
        char c = '\0';
        while (true) {
            const ssize_t got = ::read(terminal.get(), &c, 1);
            if (got < 0 && errno == EINTR && !world_.stop.requested()) continue;
            if (got <= 0 || c == '\n' || answer.size() >= secret_bytes_max) break;
            answer.push_back(c);
        }
    }
    if (!echo) write_all(terminal.get(), as_bytes("\n"), "the terminal");
    world_.stop.check();
    return answer;
}

Secret Secrets::ask(const std::string& prompt) {
    std::string answer = read_answer(prompt, false);
    Secret secret(as_bytes(answer));
    explicit_bzero(answer.data(), answer.size());
    return secret;
}

Secret Secrets::ask_twice(const std::string& prompt) {
    while (true) {
        Secret first = ask(prompt);
        if (first.empty()) throw Error{Code::usage, "an empty passphrase protects nothing"};
        if (equal(first.reveal(), ask("The same again: ").reveal())) return first;
        world_.log.warning("the two were not the same; try again");
    }
}

bool Secrets::confirm(const std::string& question) {
    const std::string answer = read_answer(question + " [y/N] ", true);
    return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace holdfast::app
