#include "sources/redis/server.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "clients/redis/connection.h"
#include "sandbox/process.h"
#include "sandbox/sandbox.h"
#include "sources/redis/options.h"

namespace holdfast::redis {

namespace {

constexpr std::chrono::minutes load_max{10};
constexpr std::chrono::milliseconds look_every{20};

std::string last_lines(const std::string& text) {
    std::vector<std::string> lines;
    for (std::string& line : split(text, '\n'))
        if (!line.empty()) lines.push_back(std::move(line));
    return join(std::span(lines).last(std::min<std::size_t>(lines.size(), 3)), "; ");
}

// "7.0.15" as {7, 0}.
std::pair<int, int> version_of(std::string_view text) {
    std::pair<int, int> out{0, 0};
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out.first);
    if (problem == std::errc{} && end < text.data() + text.size() && *end == '.')
        std::from_chars(end + 1, text.data() + text.size(), out.second);
    return out;
}

std::string server_folder(const std::string& bin_dir) {
    for (const std::string& place : {bin_dir, std::string("/usr/bin"), std::string("/usr/local/bin")})
        if (!place.empty() && ::access((place + "/redis-server").c_str(), X_OK) == 0) return place;
    throw Error{Code::source_failed, "there is no redis-server here to prove the snapshot with"}.hint(
        "Install the package redis-server, or name its folder by `bin_dir`.");
}

std::string installed_version(const std::string& folder) {
    const std::string said(
        as_text(run_and_read({.argv = {folder + "/redis-server", "--version"}, .add_environment = {}})));
    const std::size_t at = said.find("v=");
    return at == std::string::npos ? "" : said.substr(at + 2, said.find(' ', at) - at - 2);
}

class Server final : public ThrowawayServer {
public:
    explicit Server(const ServerRequest& request)
        : sandbox_(request.sandbox),
          folder_(server_folder(option_text(request.options, "bin_dir"))),
          data_(sandbox_.work() + "/data"),
          socket_(sandbox_.work() + "/redis.sock") {
        installed_ = installed_version(folder_);
        if (!request.facts) return;
        const std::string captured = request.facts->value("", "about server version").value_or("");
        if (version_of(installed_) < version_of(captured))
            throw Error{Code::source_failed, "the redis-server here is {}; the snapshot is of {}", installed_, captured}
                .hint("Install a newer redis-server, or name its folder by `bin_dir`.");
        for (const Fact& fact : request.facts->list) {
            int number = 0;
            const auto [end, problem] = std::from_chars(fact.item.data(), fact.item.data() + fact.item.size(), number);
            if (problem == std::errc{}) databases_ = std::max(databases_, number + 1);
        }
    }

    std::string target() const override { return process_ ? url() : data_; }
    std::vector<std::string> isolation() const override {
        return process_ ? process_->isolation().kinds() : possible_isolation().kinds();
    }
    std::string log_tail() const override { return process_ ? process_->log_tail() : ""; }

    std::vector<CheckLine> own_checks() override {
        give_to_sandbox();
        std::vector<CheckLine> out;
        out.push_back(check("redis-check-rdb", "appendonly.aof.1.base.rdb"));
        out.push_back(check("redis-check-aof", "appendonly.aof.manifest"));
        start();
        out.push_back({"redis-server loads it", CheckLine::Result::pass, "loaded", "loaded by " + installed_});
        return out;
    }

private:
    std::string url() const {
        std::string out = "redis://";
        for (const char c : socket_) out += c == '/' ? "%2F" : c == '%' ? "%25" : std::string(1, c);
        return out;
    }

    std::vector<std::string> readable() const {
        if (folder_.starts_with("/usr/")) return {};
        return {folder_};
    }

    void give_to_sandbox() const {
        if (::geteuid() != 0) return;
        const uid_t uid = sandbox_.throwaway_uid();
        const auto give = [&](const std::string& path) {
            if (::lchown(path.c_str(), uid, uid) != 0)
                throw Error{Code::failed, "cannot give {} to the sandbox: {}", path, errno_text(errno)};
        };
        give(data_);
        for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) give(entry.path().string());
    }

    CheckLine check(const std::string& program, const std::string& file) const {
        SandboxProcess process(sandbox_, {.argv = {folder_ + "/" + program, data_ + "/appendonlydir/" + file},
                                          .readable = readable(),
                                          .log = program});
        const auto deadline = std::chrono::steady_clock::now() + load_max;
        std::optional<ExitStatus> end;
        while (!end && std::chrono::steady_clock::now() < deadline) {
            sandbox_.world().stop.check();
            end = process.wait_until(std::chrono::steady_clock::now() + look_every);
        }
        const bool good = end && end->ok();
        return {program, good ? CheckLine::Result::pass : CheckLine::Result::fail, "no complaint",
                good ? "no complaint" : printable(last_lines(process.log_tail()))};
    }

    // It begins as the replica of nobody who answers, so that no key expires while it loads; then that is switched off.
    void start() {
        SandboxProcessOptions options;
        options.argv = {folder_ + "/redis-server",
                        "--dir",
                        data_,
                        "--port",
                        "0",
                        "--unixsocket",
                        socket_,
                        "--unixsocketperm",
                        "700",
                        "--appendonly",
                        "yes",
                        "--appendfsync",
                        "no",
                        "--save",
                        "",
                        "--auto-aof-rewrite-percentage",
                        "0",
                        "--databases",
                        std::to_string(databases_),
                        "--replicaof",
                        "127.0.0.1 1",
                        "--repl-diskless-sync-delay",
                        "0",
                        "--enable-debug-command",
                        "yes",
                        "--loglevel",
                        "warning",
                        "--daemonize",
                        "no"};
        options.readable = readable();
        options.log = "redis";
        process_ = std::make_unique<SandboxProcess>(sandbox_, options);
        wait_until_loaded();
        Connection connection(sandbox_.world(), Endpoint::parse(url()), Code::target_failed);
        connection.ask({"DEBUG", "SET-ACTIVE-EXPIRE", "0"});
        connection.ask({"REPLICAOF", "NO", "ONE"});
    }

    void wait_until_loaded() {
        const auto deadline = std::chrono::steady_clock::now() + load_max;
        while (true) {
            sandbox_.world().stop.check();
            if (const auto end = process_->wait_until(std::chrono::steady_clock::now() + look_every))
                throw Error{Code::target_failed, "redis-server ended with {} on the restored data: {}", end->text(),
                            last_lines(process_->log_tail())};
            std::string why;
            try {
                Connection tried(sandbox_.world(), Endpoint::parse(url()), Code::target_failed);
                const Reply got = tried.try_ask({"PING"});
                if (!got.is_error()) return;
                why = got.text;
            } catch (const Error& error) {
                if (error.code() != Code::target_failed) throw;
                why = error.message();
            }
            if (std::chrono::steady_clock::now() >= deadline)
                throw Error{Code::target_failed, "redis-server does not finish loading: {}; it says: {}", why,
                            last_lines(process_->log_tail())};
        }
    }

    Sandbox& sandbox_;
    const std::string folder_;
    const std::string data_;
    const std::string socket_;
    std::string installed_;
    int databases_ = 16;
    std::unique_ptr<SandboxProcess> process_;
};

}  // namespace

std::unique_ptr<ThrowawayServer> start_server(const ServerRequest& request) {
    return std::make_unique<Server>(request);
}

}  // namespace holdfast::redis
