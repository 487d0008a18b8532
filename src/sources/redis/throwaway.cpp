#include "sources/redis/throwaway.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "clients/redis/connection.h"

namespace holdfast::redis {

namespace {

// What a journal or an append-only file selects may be more than a capture has.
constexpr std::uint64_t databases_min = 4096;
constexpr std::chrono::minutes silence_max{10};
constexpr std::uintmax_t check_bytes_each_second = 5'000'000;  // at least
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
    throw Error{Code::source_failed, "there is no redis-server here"}.hint(
        "Install the package redis-server, or name its folder by `bin_dir`.");
}

std::string installed_version(const std::string& folder) {
    const std::string said(
        as_text(run_and_read({.argv = {folder + "/redis-server", "--version"}, .add_environment = {}})));
    const std::size_t at = said.find("v=");
    return at == std::string::npos ? "" : said.substr(at + 2, said.find(' ', at) - at - 2);
}

}  // namespace

Throwaway::Throwaway(Sandbox& sandbox, std::string data, Options options)
    : sandbox_(sandbox),
      data_(std::move(data)),
      options_(std::move(options)),
      folder_(server_folder(options_.bin_dir)),
      socket_(sandbox_.work() + "/redis.sock"),
      installed_(installed_version(folder_)) {
    if (version_of(installed_) < version_of(options_.captured_version))
        throw Error{Code::source_failed, "the redis-server here is {}; the snapshot is of {}", installed_,
                    options_.captured_version}
            .hint("Install a newer redis-server, or name its folder by `bin_dir`.");
}

std::string Throwaway::url() const {
    Endpoint out;
    out.host = socket_;
    return out.url();
}

std::vector<std::string> Throwaway::readable() const {
    if (folder_.starts_with("/usr/")) return {};
    return {folder_};
}

void Throwaway::give_to_sandbox() const {
    if (::geteuid() != 0) return;
    const uid_t uid = sandbox_.throwaway_uid();
    const auto give = [&](const std::string& path) {
        if (::lchown(path.c_str(), uid, uid) != 0)
            throw Error{Code::failed, "cannot give {} to the sandbox: {}", path, errno_text(errno)};
    };
    give(data_);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_)) give(entry.path().string());
}

CheckLine Throwaway::check(const std::string& program, const std::string& file) const {
    give_to_sandbox();
    SandboxProcess process(
        sandbox_,
        {.argv = {folder_ + "/" + program, data_ + "/appendonlydir/" + file}, .readable = readable(), .log = program});
    const std::chrono::seconds work(std::filesystem::file_size(data_ + "/appendonlydir/" + file) /
                                    check_bytes_each_second);
    const auto deadline = std::chrono::steady_clock::now() + silence_max + work;
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
void Throwaway::start() {
    SandboxProcessOptions options;
    give_to_sandbox();
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
                    "--aof-load-truncated",
                    "no",
                    "--auto-aof-rewrite-percentage",
                    "0",
                    "--databases",
                    std::to_string(std::max(options_.databases, databases_min)),
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

void Throwaway::wait_until_loaded() {
    auto deadline = std::chrono::steady_clock::now() + silence_max;
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
            if (why.starts_with("LOADING")) deadline = std::chrono::steady_clock::now() + silence_max;
        } catch (const Error& error) {
            if (error.code() != Code::target_failed) throw;
            why = error.message();
        }
        if (std::chrono::steady_clock::now() >= deadline)
            throw Error{Code::target_failed, "redis-server does not finish loading: {}; it says: {}", why,
                        last_lines(process_->log_tail())};
    }
}

std::string captured_version(const std::optional<Facts>& facts) {
    return facts ? facts->value("", "about server version").value_or("") : "";
}

}  // namespace holdfast::redis
