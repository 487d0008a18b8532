#include "sources/mongodb/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/process.h"
#include "sandbox/sandbox.h"
#include "sources/mongodb/catalog.h"
#include "sources/mongodb/restore_options.h"

namespace holdfast::mongodb {

namespace {

constexpr std::chrono::minutes start_max{2};
constexpr std::chrono::milliseconds look_every{50};
constexpr auto port = "27017";  // of its own network

std::string program_in_path(const std::string& name) {
    const char* const path = std::getenv("PATH");
    for (const std::string& folder : split(path == nullptr ? "" : path, ':'))
        if (const std::string program = folder + "/" + name; !folder.empty() && ::access(program.c_str(), X_OK) == 0)
            return std::filesystem::canonical(program).string();
    return "";
}

std::string server_program(const ServerRequest& request) {
    const auto found = request.options.find("server_program");
    if (found != request.options.end() && !found->second.empty()) {
        const std::string& program = found->second.front();
        if (::access(program.c_str(), X_OK) == 0) return std::filesystem::canonical(program).string();
        throw Error{Code::source_failed, "there is no program {} to prove the snapshot with", program};
    }
    const std::string program = program_in_path("mongod");
    if (program.empty())
        throw Error{Code::source_failed, "there is no MongoDB server here to prove the snapshot with"}.hint(
            "Install the package mongodb-org-server, or name a program that takes mongod's options by "
            "`server_program`.");
    return program;
}

class Server final : public ThrowawayServer {
public:
    explicit Server(const ServerRequest& request)
        : sandbox_(request.sandbox), facts_(request.facts), program_(server_program(request)) {
        const std::string data = sandbox_.work() + "/data";
        if (::mkdir(data.c_str(), 0700) != 0)
            throw Error{Code::failed, "cannot create {}: {}", data, errno_text(errno)};
        if (::geteuid() == 0 && ::chown(data.c_str(), sandbox_.throwaway_uid(), static_cast<gid_t>(-1)) != 0)
            throw Error{Code::failed, "cannot give {} away: {}", data, errno_text(errno)};
        SandboxProcessOptions options;
        options.argv = {program_,    "--dbpath",           data,           "--port", port, "--bind_ip",
                        "127.0.0.1", "--unixSocketPrefix", sandbox_.work()};
        if (!program_.starts_with("/usr/")) options.readable = {program_};
        options.log = "mongod";
        process_ = std::make_unique<SandboxProcess>(sandbox_, options);
        wait_until_ready();
        keep_expired();
    }

    std::string target() const override {
        std::string socket;
        for (const char c : sandbox_.work() + "/mongodb-" + port + ".sock")
            socket += c == '/' ? std::string("%2F") : c == '%' ? std::string("%25") : std::string(1, c);
        return "mongodb://" + socket + "/";
    }
    std::vector<std::string> isolation() const override { return process_->isolation().kinds(); }
    std::string log_tail() const override { return process_->log_tail(); }

    std::vector<CheckLine> own_checks() override {
        std::vector<CheckLine> out;
        Client client(sandbox_.world(), server_endpoint(target()), Code::target_failed);
        const std::string captured = facts_ ? facts_->value("", "about server version").value_or("") : "";
        const std::string found = client.server_version();
        const bool is_same = std::atoi(captured.c_str()) == std::atoi(found.c_str());
        out.push_back({"server major version", is_same ? CheckLine::Result::pass : CheckLine::Result::not_tested,
                       captured, found});
        std::set<std::string> databases;
        if (facts_)
            for (const Fact& fact : facts_->list)
                if (!fact.item.empty()) databases.insert(database_of(fact.item));
        for (const std::string& database : databases)
            for (const Collection& each : list_collections(client, database))
                if (!each.is_view()) out.push_back(validate(client, each));
        return out;
    }

private:
    static CheckLine validate(Client& client, const Collection& collection) {
        const Reply reply = client.ask(collection.name.database, command("validate", collection.stored_name()));
        CheckLine line{item_path(collection.name) + " validate", CheckLine::Result::fail, "valid", ""};
        if (!reply.ok()) {
            line.found = reply.message;
            return line;
        }
        const auto valid = find(reply.document, "valid");
        const bool is_valid = valid && valid->is_true();
        line.result = is_valid ? CheckLine::Result::pass : CheckLine::Result::fail;
        line.found = is_valid ? "valid" : to_json(document_of(reply.document, "errors"));
        return line;
    }

    // What had expired since the capture would be missed in the comparison. A program that knows no TTL refuses.
    void keep_expired() {
        Client client(sandbox_.world(), server_endpoint(target()), Code::target_failed);
        (void)client.ask("admin", Builder().i32("setParameter", 1).boolean("ttlMonitorEnabled", false).done());
    }

    void wait_until_ready() {
        const auto deadline = std::chrono::steady_clock::now() + start_max;
        const std::string socket = sandbox_.work() + "/mongodb-" + port + ".sock";
        while (true) {
            sandbox_.world().stop.check();
            if (const auto end = process_->wait_until(std::chrono::steady_clock::now() + look_every))
                throw Error{Code::failed, "the server in the sandbox ended with {}: {}", end->text(),
                            process_->log_tail()};
            if (std::filesystem::exists(socket)) {
                try {
                    Client client(sandbox_.world(), server_endpoint(target()), Code::target_failed);
                    (void)client.run("admin", command("ping", 1));
                    return;
                } catch (const Error& error) {
                    if (error.code() != Code::target_failed) throw;
                }
            }
            if (std::chrono::steady_clock::now() >= deadline)
                throw Error{Code::failed, "the server in the sandbox does not answer; it says: {}",
                            process_->log_tail()};
        }
    }

    Sandbox& sandbox_;
    const std::optional<Facts> facts_;
    const std::string program_;
    std::unique_ptr<SandboxProcess> process_;
};

}  // namespace

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request) {
    return std::make_unique<Server>(request);
}

}  // namespace holdfast::mongodb
