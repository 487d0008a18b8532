#include "sources/postgres/server.h"

#include <unistd.h>

#include <algorithm>
#include <array>
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
    "max_connections=32",
    "max_locks_per_transaction=256",
};

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
    for (const char c : text) out += c == '/' ? "%2F" : c == '%' ? "%25" : std::string(1, c);
    return out;
}

class Server final : public ThrowawayServer {
public:
    Server(Sandbox& sandbox, const ServerPrograms& programs, std::string superuser, std::optional<Facts> facts)
        : sandbox_(sandbox),
          facts_(std::move(facts)),
          major_(programs.major),
          folder_(programs.folder),
          superuser_(std::move(superuser)),
          socket_(sandbox_.work()),
          data_(sandbox_.work() + "/data") {
        make_data();
        start();
    }

    std::string target() const override {
        return fmt::format("postgres://{}@{}/", superuser_, percent_encoded(socket_));
    }
    std::vector<std::string> isolation() const override { return process_->isolation().kinds(); }
    std::string log_tail() const override { return process_->log_tail(); }

    std::vector<CheckLine> own_checks() override {
        std::vector<CheckLine> out;
        Connection connection(sandbox_.world(), endpoint("postgres"), Code::target_failed);
        const int found = connection.server_major();
        const auto passed = [](bool is) { return is ? CheckLine::Result::pass : CheckLine::Result::fail; };
        out.push_back({"server major version", passed(found == major_), std::to_string(major_), std::to_string(found)});
        const Rows databases =
            connection.query("SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate");
        for (std::size_t i = 0; i < databases.size(); ++i)
            if (is_captured(databases.text(i, 0))) check_database(databases.text(i, 0), out);
        return out;
    }

private:
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
        options.add_environment = {{"PGHOST", socket_}, {"PGUSER", superuser_}, {"LC_ALL", "C.UTF-8"}};
        options.remove_environment.insert(options.remove_environment.end(), {"PGPORT", "PGSERVICE", "PGOPTIONS"});
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
        const Tools tools = find_tools(major_, has_dump ? folder_ : "", Code::target_failed);
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

// Of the very major version: another one may accept what the source's would not.
std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request) {
    const int major = captured_major(request);
    return std::make_unique<Server>(request.sandbox, find_server(major, option(request, "bin_dir"), Fit::exact),
                                    std::string(prover), request.facts);
}

std::unique_ptr<ThrowawayServer> start_server(Sandbox& sandbox, const ServerPrograms& programs,
                                              const std::string& superuser) {
    return std::make_unique<Server>(sandbox, programs, superuser, std::nullopt);
}

}  // namespace holdfast::postgres
