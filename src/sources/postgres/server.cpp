#include "sources/postgres/server.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "clients/postgres/connection.h"
#include "clients/postgres/tools.h"
#include "sandbox/process.h"
#include "sandbox/sandbox.h"
#include "sources/postgres/catalog.h"

namespace holdfast::postgres {

namespace {

constexpr std::string_view prover = "holdfast_prove";
constexpr std::chrono::minutes initdb_max{3};
constexpr std::chrono::minutes start_max{2};
constexpr std::chrono::milliseconds look_every{20};
constexpr std::size_t complaint_bytes_max = 4096;

// All that could reach out or run something of the snapshot's own is named here, and given by the command line, which
// no setting of a database or role and no ALTER SYSTEM can override.
constexpr std::array settings{
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_preload_libraries=",
    "archive_mode=off",
    "restore_command=",
    "primary_conninfo=",
    "max_logical_replication_workers=0",
    "max_wal_senders=0",
    "wal_level=minimal",
    "ssl=off",
    "jit=off",
    "logging_collector=off",
    "restart_after_crash=off",
    // Speed: nothing here outlives the proof.
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "autovacuum=off",
    "max_wal_size=2GB",
    "shared_buffers=64MB",
    "max_connections=200",
    "max_locks_per_transaction=256",
};

// What a database or role of the snapshot could set for its sessions against those above, or against looking at it.
constexpr std::string_view session_options =
    "-c session_preload_libraries= -c local_preload_libraries= -c default_transaction_read_only=off";

std::string last_lines(const std::string& text) {
    std::vector<std::string> lines;
    for (std::string& line : split(text, '\n'))
        if (!line.empty()) lines.push_back(std::move(line));
    const std::size_t shown = std::min<std::size_t>(lines.size(), 3);
    return join(std::span(lines).last(shown), "; ");
}

int captured_major(const ServerRequest& request) {
    const std::string version = request.facts ? request.facts->value("", "about server version").value_or("") : "";
    const int major = std::atoi(version.c_str());
    if (major <= 0)
        throw Error{Code::source_failed, "the capture does not say which version of PostgreSQL it is of"}.hint(
            "Back up again with this version.");
    return major;
}

std::string option(const ServerRequest& request, std::string_view name) {
    const auto found = request.options.find(name);
    return found == request.options.end() || found->second.empty() ? "" : found->second.front();
}

bool has_server(const std::string& folder) {
    return ::access((folder + "/initdb").c_str(), X_OK) == 0 && ::access((folder + "/postgres").c_str(), X_OK) == 0;
}

// "postgres (PostgreSQL) 15.14 (Debian …)"
int major_of(const std::string& folder) {
    const Bytes printed = run_and_read({.argv = {folder + "/postgres", "--version"}, .add_environment = {}});
    const std::string_view text = as_text(printed);
    const std::size_t at = text.find(") ");
    return at == std::string_view::npos ? 0 : std::atoi(std::string(text.substr(at + 2)).c_str());
}

std::vector<ServerPrograms> servers_here(const std::string& bin_dir) {
    std::vector<ServerPrograms> out;
    const auto add = [&](const std::string& folder) {
        if (has_server(folder)) out.push_back({folder, major_of(folder)});
    };
    if (!bin_dir.empty()) add(bin_dir);
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored))
        add(entry.path().string() + "/bin");
    for (const auto& entry : std::filesystem::directory_iterator("/usr", ignored))
        if (entry.path().filename().string().starts_with("pgsql-")) add(entry.path().string() + "/bin");
    return out;
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text)
        out += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_'
                   ? std::string(1, c)
                   : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return out;
}

class Server final : public ThrowawayServer {
public:
    Server(Sandbox& sandbox, const ServerPrograms& programs, std::string superuser, std::optional<Facts> facts,
           std::string bin_dir)
        : sandbox_(sandbox),
          facts_(std::move(facts)),
          major_(programs.major),
          folder_(programs.folder),
          bin_dir_(std::move(bin_dir)),
          superuser_(std::move(superuser)),
          socket_(sandbox_.work()),
          data_(sandbox_.work() + "/data") {
        make_data();
        start();
    }

    std::string target() const override {
        return fmt::format("postgres://{}@{}/?options={}", superuser_, percent_encoded(socket_),
                           percent_encoded(session_options));
    }
    std::vector<std::string> isolation() const override { return process_->isolation().kinds(); }
    std::string log_tail() const override { return process_->log_tail(); }

    std::vector<CheckLine> own_checks() override {
        std::vector<CheckLine> out;
        Connection connection(sandbox_.world(), endpoint("postgres"), Code::target_failed);
        const int found = connection.server_major();
        const auto passed = [](bool is) { return is ? CheckLine::Result::pass : CheckLine::Result::fail; };
        out.push_back({"server major version", passed(found == major_), std::to_string(major_), std::to_string(found)});
        for (const std::string& name : databases_of(connection))
            if (is_captured(name)) check_database(name, out);
        return out;
    }

    // Each database's locale and extensions, in a database that goes again.
    void require_what_was_captured() {
        if (!facts_) return;
        Connection admin(sandbox_.world(), endpoint("postgres"), Code::source_failed);
        for (const Fact& fact : facts_->list) {
            if (fact.name != "collation") continue;
            const std::string extensions = facts_->value(fact.item, "extensions").value_or("");
            if (fact.value.starts_with("C.UTF-8 C.UTF-8") && extensions == "plpgsql") continue;
            const Note note{"looking for what database {} needs", fact.item};
            make_trial(admin, fact);
            try_extensions(extensions);
            admin.run("DROP DATABASE holdfast_trial");
        }
    }

private:
    // "de_DE.utf8 de_DE.utf8 c": LC_COLLATE, LC_CTYPE, since version 15 the provider.
    void make_trial(Connection& admin, const Fact& collation) const {
        std::vector<std::string> words = split(collation.value, ' ');
        words.resize(std::max<std::size_t>(words.size(), 2), "C");
        const std::string encoding = facts_->value(collation.item, "encoding").value_or("UTF8");
        try {
            admin.run(
                fmt::format("CREATE DATABASE holdfast_trial TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
                            quote_literal(encoding), quote_literal(words[0]), quote_literal(words[1])));
        } catch (const Error& error) {
            throw Error{Code::source_failed, "{}", error.message()}.hint("Install the locale here (locale-gen).");
        }
    }

    void try_extensions(const std::string& names) const {
        Connection trial(sandbox_.world(), endpoint("holdfast_trial"), Code::source_failed);
        for (const std::string& name : split(names, ',')) {
            const std::string extension = name.substr(std::min(name.find_first_not_of(' '), name.size()));
            if (extension.empty()) continue;
            try {
                trial.run("CREATE EXTENSION IF NOT EXISTS " + quote_name(extension) + " CASCADE");
            } catch (const Error& error) {
                throw Error{Code::source_failed, "extension {} cannot be had here: {}", extension, error.message()}
                    .hint(fmt::format("Install it (package postgresql-contrib or postgresql-{}-…).", major_));
            }
        }
    }

    // The programs of another place are not among what a sandbox sees by itself.
    std::vector<std::string> readable() const {
        if (folder_.starts_with("/usr/")) return {};
        return {std::filesystem::path(folder_).parent_path().string()};
    }

    void make_data() {
        SandboxProcess initdb(sandbox_, {.argv = {folder_ + "/initdb", "--pgdata=" + data_, "--username=" + superuser_,
                                                  "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8",
                                                  "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
                                         .readable = readable(),
                                         .log = "initdb"});
        const auto deadline = std::chrono::steady_clock::now() + initdb_max;
        while (true) {
            sandbox_.world().stop.check();
            if (const auto end = initdb.wait_until(std::min(deadline, std::chrono::steady_clock::now() + look_every))) {
                if (end->ok()) return;
                throw Error{Code::failed, "initdb ended with {}: {}", end->text(), last_lines(initdb.log_tail())};
            }
            if (std::chrono::steady_clock::now() >= deadline)
                throw Error{Code::failed, "initdb did not end within 3 minutes"};
        }
    }

    void start() {
        SandboxProcessOptions options;
        options.argv = {folder_ + "/postgres", "-D", data_};
        for (const char* setting : settings) options.argv.insert(options.argv.end(), {"-c", setting});
        options.argv.insert(options.argv.end(), {"-c", "unix_socket_directories=" + socket_});
        options.readable = readable();
        options.log = "postgres";
        process_ = std::make_unique<SandboxProcess>(sandbox_, options);
        wait_until_ready();
    }

    void wait_until_ready() {
        const auto deadline = std::chrono::steady_clock::now() + start_max;
        while (true) {
            sandbox_.world().stop.check();
            if (const auto end = process_->wait_until(std::chrono::steady_clock::now() + look_every))
                throw Error{Code::failed, "the server in the sandbox ended with {}: {}", end->text(),
                            last_lines(process_->log_tail())};
            try {
                const Connection tried(sandbox_.world(), endpoint("postgres"), Code::target_failed);
                return;
            } catch (const Error& error) {
                if (error.code() != Code::target_failed) throw;
                if (std::chrono::steady_clock::now() >= deadline)
                    throw Error{Code::failed, "the server in the sandbox does not answer: {}; it says: {}",
                                error.message(), last_lines(process_->log_tail())};
            }
        }
    }

    Endpoint endpoint(const std::string& database) const { return Endpoint::parse(target()).with_database(database); }

    void check_database(const std::string& name, std::vector<CheckLine>& out) const {
        Connection connection(sandbox_.world(), endpoint(name), Code::target_failed);
        const std::string invalid =
            connection.value("SELECT pg_catalog.count(*) FROM pg_catalog.pg_index WHERE NOT indisvalid").value_or("");
        out.push_back({printable(name) + " invalid indexes",
                       invalid == "0" ? CheckLine::Result::pass : CheckLine::Result::fail, "0", invalid});
        out.push_back(has_amcheck(connection) ? check_structure(connection, name) : dump(name));
    }

    bool has_amcheck(Connection& connection) const {
        return ::access((folder_ + "/pg_amcheck").c_str(), X_OK) == 0 &&
               connection.value("SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'").has_value();
    }

    // Heaps and indexes. The extension goes again, for it is not part of what was captured.
    CheckLine check_structure(Connection& connection, const std::string& name) const {
        const bool was_there =
            connection.value("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'amcheck'").has_value();
        if (!was_there) connection.run("CREATE EXTENSION amcheck SCHEMA pg_catalog");
        CheckLine line = amcheck(name);
        if (!was_there) connection.run("DROP EXTENSION amcheck");
        return line;
    }

    // It knows no --dbname, so the way to the server is in its environment.
    CheckLine amcheck(const std::string& name) const {
        ChildOptions options;
        options.argv = {folder_ + "/pg_amcheck", "--jobs=2", "--no-dependent-toast", name};
        options.add_environment = {{"PGHOST", socket_},
                                   {"PGUSER", superuser_},
                                   {"LC_ALL", "C.UTF-8"},
                                   {"PGOPTIONS", std::string(session_options)}};
        options.remove_environment.insert(options.remove_environment.end(), {"PGPORT", "PGSERVICE"});
        Child child(options);
        std::string said;
        std::array<std::uint8_t, 4096> buffer{};
        while (true) {
            sandbox_.world().stop.check();
            const auto got = child.read(buffer, std::chrono::steady_clock::now() + std::chrono::milliseconds(200));
            if (!got) continue;
            if (*got == 0) break;
            if (said.size() < complaint_bytes_max) said += as_text(ByteView(buffer).first(*got));
        }
        const ExitStatus end = child.wait();
        return line(name, "pg_amcheck", end.ok() ? "" : said + child.stderr_tail() + "\n" + end.text());
    }

    CheckLine dump(const std::string& name) const {
        const bool has_dump = ::access((folder_ + "/pg_dump").c_str(), X_OK) == 0;
        const Tools tools = find_tools(major_, has_dump ? folder_ : bin_dir_, Code::target_failed);
        Tool tool(sandbox_.world(), endpoint(name),
                  {tools.path("pg_dump"), "--format=custom", "--compress=0", "--file=/dev/null"}, Code::target_failed);
        return line(name, "pg_dump", tool.finish_or_complaint());
    }

    static CheckLine line(const std::string& name, const std::string& program, const std::string& complaint) {
        return {printable(name) + " " + program, complaint.empty() ? CheckLine::Result::pass : CheckLine::Result::fail,
                "no complaint", complaint.empty() ? "no complaint" : printable(last_lines(complaint))};
    }

    // The database "postgres" of the sandbox is nobody's, unless it was captured.
    bool is_captured(const std::string& name) const {
        return name != "postgres" || !facts_ || std::ranges::any_of(facts_->list, [](const Fact& fact) {
                   return fact.item == "postgres" || fact.item.starts_with("postgres/");
               });
    }

    Sandbox& sandbox_;
    const std::optional<Facts> facts_;
    const int major_;
    const std::string folder_;
    const std::string bin_dir_;
    const std::string superuser_;
    const std::string socket_;
    const std::string data_;
    std::unique_ptr<SandboxProcess> process_;
};

}  // namespace

ServerPrograms find_server(int major, const std::string& bin_dir, Fit fit) {
    ServerPrograms best;
    for (const ServerPrograms& each : servers_here(bin_dir)) {
        if (each.major == 0) continue;
        if (each.major == major) return each;
        if (fit == Fit::exact || each.major < major) continue;
        const bool is_better = major == 0 ? each.major > best.major : best.major == 0 || each.major < best.major;
        if (is_better) best = each;
    }
    if (best.major != 0) return best;
    throw Error{Code::source_failed, "there is no server of PostgreSQL{}{} here",
                major == 0 ? "" : fmt::format(" {}", major), fit == Fit::or_newer && major != 0 ? " or newer" : ""}
        .hint(fmt::format("Install the package postgresql{}, or name its folder by `bin_dir`.",
                          major == 0 ? "" : fmt::format("-{}", major)));
}

// Of the very major version: another one may accept what the source's would not. What it lacks for the snapshot is told
// here, where it says something of this machine; in the midst of the restore it would be a failure of the snapshot.
std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request) {
    const int major = captured_major(request);
    const std::string bin_dir = option(request, "bin_dir");
    auto server = std::make_unique<Server>(request.sandbox, find_server(major, bin_dir, Fit::exact),
                                           std::string(prover), request.facts, bin_dir);
    find_tools(major, bin_dir, Code::source_failed);
    server->require_what_was_captured();
    return server;
}

std::unique_ptr<ThrowawayServer> start_server(Sandbox& sandbox, const ServerPrograms& programs,
                                              const std::string& superuser) {
    return std::make_unique<Server>(sandbox, programs, superuser, std::nullopt, "");
}

}  // namespace holdfast::postgres
