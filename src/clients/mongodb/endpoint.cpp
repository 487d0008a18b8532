#include "clients/mongodb/endpoint.h"

#include <fmt/format.h>
#include <mongoc/mongoc.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

struct Free {
    void operator()(mongoc_uri_t* uri) const { mongoc_uri_destroy(uri); }
};
using Uri = std::unique_ptr<mongoc_uri_t, Free>;

// What of a URI stands before its path, with the place where the path begins.
struct Cut {
    std::string scheme;    // "mongodb://"
    std::string userinfo;  // "user:password@"
    std::string hosts;
    std::string path;   // "/shop"
    std::string query;  // "?replicaSet=rs0"
};

Cut cut(const std::string& uri) {
    Cut out;
    const std::size_t begin = uri.find("://") + 3;
    out.scheme = uri.substr(0, begin);
    const std::size_t query = std::min(uri.find('?', begin), uri.size());
    const std::size_t path = std::min(uri.find('/', begin), query);
    std::string authority = uri.substr(begin, path - begin);
    if (const std::size_t at = authority.rfind('@'); at != std::string::npos) {
        out.userinfo = authority.substr(0, at + 1);
        authority.erase(0, at + 1);
    }
    out.hosts = authority;
    out.path = path < query ? uri.substr(path, query - path) : "/";
    out.query = uri.substr(query);
    return out;
}

std::string joined(const Cut& parts) { return parts.scheme + parts.userinfo + parts.hosts + parts.path + parts.query; }

std::string encoded(std::string_view text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string out;
    for (const char c : text)
        out += plain.find(c) != std::string_view::npos ? std::string(1, c)
                                                       : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return out;
}

// Where ":27017" begins, or the end. The colons of an IPv6 address stand in brackets.
std::size_t port_at(const std::string& host) {
    const std::size_t colon = host.rfind(':');
    const std::size_t bracket = host.rfind(']');
    if (colon == std::string::npos || (bracket != std::string::npos && colon < bracket)) return host.size();
    return colon;
}

// As a URI has it: a socket's path encoded, an IPv6 address in brackets.
std::string host_text(const std::string& host) {
    if (host.starts_with('/')) return encoded(host);
    const bool is_ipv6 = std::ranges::count(host, ':') > 1 && host.find_first_of("[,") == std::string::npos;
    return is_ipv6 ? "[" + host + "]" : host;
}

void set_query(Cut& parts, const std::string& name, const std::string& value) {
    parts.query += (parts.query.empty() ? "?" : "&") + name + "=" + encoded(value);
}

std::string text(const char* given) { return given == nullptr ? "" : given; }

Uri parsed(const std::string& uri) {
    bson_error_t problem;
    Uri out(mongoc_uri_new_with_error(uri.c_str(), &problem));
    if (!out)
        // The message may repeat the text, and with it a password.
        throw Error{Code::config, "this is no address of a MongoDB server"}.hint(
            "Write `mongodb://USER@HOST:PORT/DATABASE`; signs such as / @ : in a part are written as %2F %40 %3A.");
    return out;
}

}  // namespace

bool is_url(std::string_view text) { return text.starts_with("mongodb://") || text.starts_with("mongodb+srv://"); }

Endpoint Endpoint::parse(const std::string& text) {
    Endpoint out;
    out.uri_ = text;
    (void)parsed(text);
    return out;
}

void Endpoint::set(const std::string& name, const std::string& value) {
    if (value.empty()) return;
    Cut parts = cut(uri_);
    if (name == "host") {
        const std::string host = host_text(value);
        parts.hosts = host + (port_at(host) == host.size() ? parts.hosts.substr(port_at(parts.hosts)) : "");
    } else if (name == "port") {
        parts.hosts = parts.hosts.substr(0, port_at(parts.hosts)) + ":" + value;
    } else if (name == "user") {
        const std::size_t colon = parts.userinfo.find(':');
        parts.userinfo = encoded(value) + (colon == std::string::npos ? "@" : parts.userinfo.substr(colon));
    } else if (name == "password") {
        const std::string user = parts.userinfo.substr(0, parts.userinfo.find_first_of(":@"));
        if (user.empty()) throw Error{Code::config, "a password is given and no user"};
        parts.userinfo = user + ":" + encoded(value) + "@";
    } else if (name == "database") {
        parts.path = "/" + encoded(value);
    } else {
        set_query(parts, name == "auth_source" ? "authSource" : name, value);
    }
    uri_ = joined(parts);
    (void)parsed(uri_);
}

Endpoint Endpoint::direct_to(const std::string& host_and_port) const {
    Cut parts = cut(uri_);
    std::string kept;
    // What belongs to finding a server among several is left out; what TLS a +srv name implies is said.
    for (std::size_t at = 1; at < parts.query.size();) {
        const std::size_t end = std::min(parts.query.find('&', at), parts.query.size());
        const std::string each = parts.query.substr(at, end - at);
        std::string name = each.substr(0, each.find('='));
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        if (name != "replicaset" && name != "directconnection" && name != "readpreference" &&
            name != "readpreferencetags" && name != "loadbalanced" && name != "maxstalenessseconds" &&
            !name.starts_with("srv"))
            kept += (kept.empty() ? "?" : "&") + each;
        at = end + 1;
    }
    const bool is_srv = parts.scheme.starts_with("mongodb+srv");
    Endpoint out;
    parts.query = kept;
    parts.scheme = "mongodb://";
    parts.hosts = host_and_port.starts_with('/') ? encoded(host_and_port) : host_and_port;
    set_query(parts, "directConnection", "true");
    if (is_srv && kept.find("tls=") == std::string::npos && kept.find("ssl=") == std::string::npos)
        set_query(parts, "tls", "true");
    // A database in the URI also says where the user is known.
    if (!parts.userinfo.empty() && option("authSource").empty() && database().empty())
        set_query(parts, "authSource", "admin");
    out.uri_ = joined(parts);
    return out;
}

std::string Endpoint::database() const { return text(mongoc_uri_get_database(parsed(uri_).get())); }

Endpoint Endpoint::without_database() const {
    Endpoint out = *this;
    if (has_user() && option("authSource").empty() && !database().empty()) out.set("auth_source", database());
    Cut parts = cut(out.uri_);
    parts.path = "/";
    out.uri_ = joined(parts);
    return out;
}

std::vector<std::string> Endpoint::hosts() const {
    std::string text = cut(uri_).hosts;
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool is_srv = uri_.starts_with("mongodb+srv");
    std::vector<std::string> out;
    for (std::string& each : split(text, ',')) {
        if (!is_srv && port_at(each) == each.size() && each.find('%') == std::string::npos) each += ":27017";
        for (const std::string_view own : {"localhost:", "[::1]:"})
            if (each.starts_with(own)) each = "127.0.0.1:" + each.substr(own.size());
        out.push_back(std::move(each));
    }
    return out;
}

std::string Endpoint::option(const std::string& name) const {
    const Uri uri = parsed(uri_);
    if (name == "authSource") {
        const std::string lower = uri_;
        return lower.find("authSource=") == std::string::npos && lower.find("authsource=") == std::string::npos
                   ? ""
                   : text(mongoc_uri_get_auth_source(uri.get()));
    }
    return text(mongoc_uri_get_option_as_utf8(uri.get(), name.c_str(), nullptr));
}

bool Endpoint::has_user() const { return !user().empty(); }
std::string Endpoint::user() const { return text(mongoc_uri_get_username(parsed(uri_).get())); }

std::string Endpoint::shown() const {
    const Cut parts = cut(uri_);
    const std::string user = parts.userinfo.substr(0, parts.userinfo.find_first_of(":@"));
    return parts.scheme + (user.empty() ? "" : user + "@") + parts.hosts + (parts.path == "/" ? "" : parts.path);
}

}  // namespace holdfast::mongodb
