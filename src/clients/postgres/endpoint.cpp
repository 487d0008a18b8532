#include "clients/postgres/endpoint.h"

#include <libpq-fe.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace holdfast::postgres {

namespace {

constexpr auto child_service = "holdfast";

struct FreeOptions {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string out;
    for (const char c : text) {
        if (plain.find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace

bool is_url(std::string_view text) { return text.starts_with("postgres://") || text.starts_with("postgresql://"); }

Endpoint Endpoint::parse(const std::string& text) {
    char* problem = nullptr;
    const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(text.c_str(), &problem));
    if (!options) {
        // The message may repeat the text, and with it a password.
        PQfreemem(problem);
        throw Error{Code::config, "this is no address of a PostgreSQL server"}.hint(
            "Write `postgres://USER@HOST:PORT/DATABASE`; signs such as / and @ in a part are written as %2F and %40.");
    }
    Endpoint out;
    for (const PQconninfoOption* at = options.get(); at->keyword != nullptr; ++at)
        if (at->val != nullptr && *at->val != '\0') out.set(at->keyword, at->val);
    return out;
}

std::string Endpoint::get(const std::string& keyword) const {
    const auto found = parameters_.find(keyword);
    return found == parameters_.end() ? std::string() : found->second;
}

Endpoint Endpoint::with_database(const std::string& name) const {
    Endpoint out = *this;
    out.set("dbname", name);
    return out;
}

std::string Endpoint::shown() const {
    std::string out = "postgres://";
    if (const std::string user = get("user"); !user.empty()) out += percent_encoded(user) + "@";
    const std::string host = get("host").empty() ? get("hostaddr") : get("host");
    out += host.starts_with('/') ? percent_encoded(host) : host;
    if (const std::string port = get("port"); !port.empty()) out += ":" + port;
    if (const std::string name = database(); !name.empty()) out += "/" + percent_encoded(name);
    if (const std::string service = get("service"); !service.empty()) out += "?service=" + percent_encoded(service);
    return out;
}

std::string Endpoint::child_conninfo() const {
    Endpoint open = *this;
    open.parameters_.erase("password");
    if (open.parameters_.erase("sslpassword") != 0) open.set("service", child_service);
    return open.conninfo();
}

std::string Endpoint::conninfo() const {
    std::string out;
    for (const auto& [keyword, value] : parameters_) {
        out += (out.empty() ? "" : " ") + keyword + "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\') out += '\\';
            out += c;
        }
        out += "'";
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> Endpoint::environment() const {
    std::vector<std::pair<std::string, std::string>> out{{"PGAPPNAME", "holdfast"}};
    if (const std::string password = get("password"); !password.empty()) out.emplace_back("PGPASSWORD", password);
    return out;
}

std::string Endpoint::service_file() const {
    const std::string password = get("sslpassword");
    if (password.empty()) return "";
    if (!get("service").empty() || std::getenv("PGSERVICE") != nullptr)
        throw Error{Code::config, "a service and the password of a client key cannot both be given"}.hint(
            "Write `sslpassword=…` into the section of the service in pg_service.conf.");
    return fmt::format("[{}]\nsslpassword={}\n", child_service, password);
}

std::string quote_name(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + "\"";
}

std::string quote_literal(std::string_view text) {
    std::string out = text.find('\\') == std::string_view::npos ? "'" : "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + "'";
}

}  // namespace holdfast::postgres
