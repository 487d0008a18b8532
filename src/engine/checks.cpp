#include "engine/checks.h"

#include <cctype>
#include <csignal>
#include <filesystem>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/process.h"
#include "base/stopped.h"
#include "base/text.h"
#include "net/http.h"
#include "policy/expect.h"
#include "sandbox/process.h"

namespace holdfast::engine {

namespace {

constexpr std::chrono::milliseconds look_every{200};
constexpr std::uint32_t redirects_max = 5;
constexpr std::size_t body_bytes_max = 16 * 1024;  // that an expectation looks at
constexpr std::size_t body_shown_max = 200;
using Instant = std::chrono::steady_clock::time_point;

std::string last_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    const std::size_t line = text.rfind('\n');
    return printable(line == std::string::npos ? text : text.substr(line + 1));
}

std::string too_slow(const Check& check) {
    return fmt::format("it did not end within {} and was stopped", human_duration(check.timeout));
}

// Waits with an eye on Ctrl-C.
template <class Process>
std::optional<ExitStatus> wait_for(World& world, Process& process, Nanoseconds limit) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(limit);
    while (true) {
        world.stop.check();
        const Instant now = std::chrono::steady_clock::now();
        if (const auto status = process.wait_until(std::min(end, now + look_every))) return status;
        if (now >= end) return std::nullopt;
    }
}

// A sandbox sees no PATH of ours.
std::string absolute_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return std::filesystem::absolute(name).lexically_normal().string();
    for (const char* folder : {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}) {
        const std::string path = fmt::format("{}/{}", folder, name);
        if (std::filesystem::exists(path)) return path;
    }
    throw Error{Code::not_found, "there is no program {}", name};
}

std::vector<std::pair<std::string, std::string>> variables(const CheckPlace& place) {
    return {
        {"HOLDFAST_SOURCE", place.source}, {"HOLDFAST_TARGET", place.target}, {"HOLDFAST_SNAPSHOT", place.snapshot}};
}

CheckLine ended(CheckLine line, const std::optional<ExitStatus>& status, const Check& check, const std::string& said) {
    line.expected = "exit status 0";
    if (!status) {
        line.result = CheckLine::Result::fail;
        line.found = too_slow(check);
        return line;
    }
    line.result = status->ok() ? CheckLine::Result::pass : CheckLine::Result::fail;
    line.found = status->text();
    if (const std::string last = last_line(said); !status->ok() && !last.empty()) line.found += ": " + last;
    return line;
}

CheckLine run_inside(CheckLine line, const Check& check, const CheckPlace& place, std::size_t number) {
    const Isolation& isolation = possible_isolation();
    if (!(isolation.pid && isolation.mount && isolation.network) && !place.allow_unisolated) {
        line.found = "not isolated: this machine refuses name spaces; --allow-unisolated runs it all the same";
        return line;
    }
    SandboxProcessOptions options;
    options.argv = check.exec;
    options.argv[0] = absolute_program(check.exec[0]);
    options.environment = variables(place);
    options.log = fmt::format("check-{}", number);
    options.identity = SandboxProcessOptions::Identity::owner;
    for (const std::string& word : options.argv)
        if (word.starts_with('/') && std::filesystem::exists(word)) options.readable.push_back(word);
    SandboxProcess process(*place.sandbox, options);
    const auto status = wait_for(place.world, process, check.timeout);
    process.end();
    return ended(std::move(line), status, check, process.log_tail());
}

CheckLine run_here(CheckLine line, const Check& check, const CheckPlace& place) {
    ChildOptions options;
    options.argv = check.exec;
    options.add_environment = variables(place);
    options.capture_stdout = false;
    options.capture_stderr = false;
    Child child(options);
    const auto status = wait_for(place.world, child, check.timeout);
    if (!status) child.kill(SIGKILL);
    return ended(std::move(line), status, check, "");
}

// A URL with another path: "postgres://host/" with "shop" is "postgres://host/shop".
std::string with_database(const std::string& url, std::size_t slash, std::size_t query, const std::string& name) {
    std::string path = "/";
    for (const char c : name) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.')
            path += c;
        else
            path += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return url.substr(0, slash) + path + url.substr(query);
}

// Nothing when that database is not what was restored. A URL that names one stands for the only one that was, which may
// have another name there, beside its namesake.
std::optional<std::string> where_to_ask(const std::string& wanted, const CheckPlace& place) {
    const std::string& url = place.target;
    const std::size_t authority = url.find("://");
    if (authority == std::string::npos) return url;
    const std::size_t query = std::min(url.find('?', authority), url.size());
    const std::size_t slash = std::min(url.find('/', authority + 3), query);
    if (slash + 1 < query) {
        const bool is_it = wanted.empty() || wanted == place.database ||
                           (place.database.empty() && wanted == url.substr(slash + 1, query - slash - 1));
        return is_it ? std::optional(url) : std::nullopt;
    }
    const std::string& name = wanted.empty() ? place.database : wanted;
    return name.empty() ? url : with_database(url, slash, query, name);
}

CheckLine run_sql(CheckLine line, const Check& check, const CheckPlace& place) {
    line.expected = check.expect;
    if (place.type.query == nullptr) {
        line.found = fmt::format("a source of kind {} answers no queries", place.type.kind);
        return line;
    }
    const auto asked = where_to_ask(check.database, place);
    if (!asked) {
        line.found = fmt::format("database {} is not what was restored", check.database);
        return line;
    }
    const Instant began = std::chrono::steady_clock::now();
    try {
        line.found = place.type.query(place.world, *asked, check.sql, check.timeout);
        line.result = policy::meets(line.found, check.expect) ? CheckLine::Result::pass : CheckLine::Result::fail;
    } catch (const Error& error) {
        if (is_stop(error.code())) throw;
        const bool is_slow = std::chrono::steady_clock::now() - began >= std::chrono::nanoseconds(check.timeout);
        line.result = CheckLine::Result::fail;
        line.found = is_slow ? too_slow(check) : error.message();
    }
    return line;
}

// Asks whatever listens there, from this machine, not from the sandbox.
CheckLine run_http(CheckLine line, const Check& check, const CheckPlace& place) {
    const bool looks_at_body = check.expect.starts_with('~');
    line.expected = looks_at_body ? "status 200, body " + check.expect : check.expect;
    line.result = CheckLine::Result::fail;
    try {
        std::string body;
        net::HttpClient client(place.world);
        const net::HttpResponse got =
            client.send({.url = check.url,
                         .timeout = check.timeout,
                         .redirects_max = redirects_max,
                         .take_body = [&](ByteView bytes) {
                             body += as_text(bytes.first(std::min(bytes.size(), body_bytes_max - body.size())));
                         }});
        const std::string status = fmt::format("{}", got.status);
        line.found = looks_at_body ? fmt::format("status {}, body {}", status, body.substr(0, body_shown_max)) : status;
        const bool is_met = looks_at_body ? got.status == 200 && policy::meets(body, check.expect)
                                          : policy::meets(status, check.expect);
        if (is_met) line.result = CheckLine::Result::pass;
    } catch (const Error& error) {
        if (error.code() != Code::unreachable) throw;
        line.found = error.message();
    }
    return line;
}

}  // namespace

std::string only_database(const std::optional<Facts>& facts) {
    std::set<std::string> out;
    if (!facts) return "";
    for (const Fact& fact : facts->list)
        if (!fact.item.empty()) out.insert(fact.item.substr(0, fact.item.find('/')));
    return out.size() == 1 ? *out.begin() : "";
}

std::string name_of(const Check& check) {
    switch (check.kind) {
        case Check::Kind::sql:
            return "sql " + printable(check.sql);
        case Check::Kind::http:
            return "http " + printable(check.url.substr(0, check.url.find('?')));
        case Check::Kind::exec:
            break;
    }
    return "exec " + printable(join(check.exec, " "));
}

std::vector<CheckLine> run_checks(const std::vector<Check>& checks, const CheckPlace& place) {
    std::vector<CheckLine> out;
    for (const Check& check : checks) {
        place.world.stop.check();
        CheckLine line{name_of(check), CheckLine::Result::not_tested, "", ""};
        try {
            if (check.kind == Check::Kind::sql)
                line = run_sql(std::move(line), check, place);
            else if (check.kind == Check::Kind::http)
                line = run_http(std::move(line), check, place);
            else if (place.sandbox != nullptr)
                line = run_inside(std::move(line), check, place, out.size());
            else
                line = run_here(std::move(line), check, place);
        } catch (const Error& error) {
            if (is_stop(error.code())) throw;
            // It could not be started, which says nothing about the data.
            line = {name_of(check), CheckLine::Result::not_tested, "", error.message()};
        }
        out.push_back(std::move(line));
    }
    return out;
}

}  // namespace holdfast::engine
