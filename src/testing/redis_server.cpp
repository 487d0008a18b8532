#include "testing/redis_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "testing/free_port.h"

namespace holdfast::testing {

RedisServer::RedisServer(const std::vector<std::string>& settings, const std::string& data)
    : folder_("holdfast-redis-"), port_(free_port()) {
    ChildOptions options;
    options.argv = {"redis-server",
                    "--port",
                    std::to_string(port_),
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    folder_.path() + "/redis.sock",
                    "--dir",
                    data.empty() ? folder_.path() : data,
                    "--save",
                    "",
                    "--daemonize",
                    "no",
                    "--enable-debug-command",
                    "yes",
                    "--repl-diskless-sync-delay",
                    "0",
                    "--loglevel",
                    "warning"};
    options.argv.insert(options.argv.end(), settings.begin(), settings.end());
    server_ = std::make_unique<Child>(options);
    for (int i = 0; i < 600; ++i) {
        Child ready({.argv = {"redis-cli", "-p", std::to_string(port_), "PING"}, .add_environment = {}});
        std::array<std::uint8_t, 64> said{};
        const auto got = ready.read(said);
        ready.wait();
        if (as_text(ByteView(said).first(got.value_or(0))).starts_with("PONG")) return;
        if (server_->wait_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(50))) break;
    }
    server_->kill(SIGKILL);
    server_->wait();
    throw Error{Code::failed, "the test's redis-server did not start: {}", server_->stderr_tail()};
}

RedisServer::~RedisServer() { kill(); }

void RedisServer::kill() {
    server_->kill(SIGKILL);
    server_->wait();
}

std::string RedisServer::url() const {
    std::string out = "redis://";
    for (const char c : folder_.path() + "/redis.sock") out += c == '/' ? std::string("%2F") : std::string(1, c);
    return out;
}

std::string RedisServer::run(const std::vector<std::string>& command) const {
    ChildOptions options;
    options.argv = {"redis-cli", "-p", std::to_string(port_)};
    options.argv.insert(options.argv.end(), command.begin(), command.end());
    std::string out(as_text(run_and_read(options)));
    while (out.ends_with('\n')) out.pop_back();
    return out;
}

void RedisServer::send(const std::string& commands) const {
    ChildOptions options;
    options.argv = {"redis-cli", "-p", std::to_string(port_), "--pipe"};
    options.give_stdin = true;
    Child child(options);
    write_all(child.in(), as_bytes(commands), "redis-cli");
    child.close_in();
    std::string said;
    std::array<std::uint8_t, 4096> buffer{};
    while (const auto got = child.read(buffer)) {
        if (*got == 0) break;
        said += as_text(ByteView(buffer).first(*got));
    }
    child.wait();
    if (said.find("errors: 0") == std::string::npos) throw Error{Code::failed, "redis-cli --pipe: {}", said};
}

std::string redis_command(const std::vector<std::string>& words) {
    std::string out = fmt::format("*{}\r\n", words.size());
    for (const std::string& word : words) out += fmt::format("${}\r\n{}\r\n", word.size(), word);
    return out;
}

}  // namespace holdfast::testing
