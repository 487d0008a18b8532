#include "app/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "app/url_password.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "policy/part_name.h"

namespace holdfast::app {

namespace {

template <class Each>
const Each* named(const std::vector<Each>& all, std::string_view name) {
    const auto found = std::ranges::find(all, name, &Each::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace

const RepositoryConfig* Config::repository(std::string_view name) const { return named(repositories, name); }

const RepositoryConfig* Config::main_repository() const {
    const RepositoryConfig* found = nullptr;
    for (const RepositoryConfig& each : repositories) {
        if (!each.replica_of.empty()) continue;
        if (found != nullptr) return nullptr;
        found = &each;
    }
    return found;
}

std::string Config::repository_named(const std::string& name_or_url) const {
    if (name_or_url.empty()) {
        const RepositoryConfig* const main = main_repository();
        return main == nullptr ? "" : main->name;
    }
    for (const RepositoryConfig& each : repositories)
        if (each.url == name_or_url) return each.name;
    return name_or_url;
}

bool is_plain_name(std::string_view name) {
    const auto fits = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && std::isalnum(static_cast<unsigned char>(name.front())) != 0 &&
           std::ranges::all_of(name, fits);
}

const SourceConfig* Config::source(std::string_view name) const {
    if (const SourceConfig* const found = named(sources, name)) return found;
    return named(sources, policy::whole_of(name));
}

const EnvironmentConfig* Config::environment(std::string_view name) const { return named(environments, name); }
const policy::Job* Config::job(std::string_view name) const { return named(jobs, name); }

std::optional<policy::Retention> Config::rules(std::string_view name) const {
    const RetentionConfig* const found = named(retention, name);
    return found == nullptr ? policy::retention_class(name) : std::optional(found->rules);
}

Error error_of(const ConfigProblem& problem, const std::string& path) {
    Error error = problem.line == 0
                      ? Error{Code::config, "{}: {}", path, problem.text}
                      : Error{Code::config, "{}:{}:{}: {}", path, problem.line, problem.column, problem.text};
    error.set_hint(problem.hint);
    return error;
}

std::vector<std::string> config_places() {
    std::vector<std::string> out{"holdfast.yaml"};
    if (const std::string home = home_folder(); !home.empty()) out.push_back(home + "/.config/holdfast/holdfast.yaml");
    out.emplace_back("/etc/holdfast/holdfast.yaml");
    return out;
}

std::string read_config(const std::string& path) {
    constexpr std::size_t bytes_max = 4 << 20;
    try {
        const Bytes bytes = read_file(path);
        if (bytes.size() > bytes_max)
            throw Error{Code::config, "{} is larger than a configuration of {} can be", path, human_bytes(bytes_max)};
        return std::string(as_text(bytes));
    } catch (const Error& error) {
        throw Error{Code::config, "the configuration cannot be read: {}", error.message()};
    }
}

std::string default_ledger() {
    const bool is_of_the_machine = ::geteuid() == 0 && std::getenv("XDG_STATE_HOME") == nullptr;
    const std::string folder = is_of_the_machine ? "" : state_folder();
    return fmt::format("sqlite:{}/ledger.db", folder.empty() ? "/var/lib/holdfast" : folder);
}

Config load_config(const std::string& path, std::span<const SourceType* const> types) {
    return checked_config(read_config(path), path, types);
}

Config checked_config(std::string_view text, const std::string& path, std::span<const SourceType* const> types) {
    ParsedConfig parsed = parse_config(text, path, types);
    if (parsed.problems.empty()) return std::move(parsed.config);
    ConfigProblem first = parsed.problems.front();
    if (const std::size_t more = parsed.problems.size() - 1; more > 0) {
        if (!first.hint.empty()) first.hint += " ";
        first.hint += fmt::format("`holdfast config check` lists {} more.", more);
    }
    throw error_of(first, path);
}

bool has_password(std::string_view url) {
    const std::string_view word = url.substr(0, url.find(' '));  // a text may speak of a URL
    return without_password(word) != word;
}

}  // namespace holdfast::app
