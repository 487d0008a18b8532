#include "clients/redis/endpoint.h"

#include <charconv>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"

namespace holdfast::redis {

namespace {

[[noreturn]] void refuse() {
    // The text is not repeated: it may hold a password.
    throw Error{Code::config, "this is no address of a Redis server"}.hint(
        "Write `redis://USER@HOST:PORT/DB`, or `rediss://` for TLS; signs such as / and @ in a part are written as %2F "
        "and %40.");
}

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto byte = i + 2 < text.size() ? from_hex(text.substr(i + 1, 2)) : std::nullopt;
        if (!byte) refuse();
        out += static_cast<char>((*byte)[0]);
        i += 2;
    }
    return out;
}

std::string place_of(const std::string& host, int port) {
    return fmt::format("{}:{}", host.find(':') == std::string::npos ? host : "[" + host + "]", port);
}

std::string encoded(std::string_view text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string out;
    for (const char c : text)
        out += plain.find(c) != std::string_view::npos ? std::string(1, c)
                                                       : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return out;
}

int number(std::string_view text, int max) {
    int out = -1;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{} || end != text.data() + text.size() || out < 0 || out > max) refuse();
    return out;
}

// "host", "host:port", "[::1]:port"
void take_place(std::string_view text, std::string_view& host, std::string_view& port) {
    host = text;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) refuse();
        host = text.substr(1, end - 1);
        if (end + 1 == text.size()) return;
        if (text[end + 1] != ':') refuse();
        port = text.substr(end + 2);
    } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
}

void take_query(Endpoint& out, std::string_view query) {
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) refuse();
        const std::string_view name = pair.substr(0, equals);
        const std::string value = decoded(pair.substr(equals + 1));
        if (name == "ca")
            out.ca = value;
        else if (name == "cert")
            out.cert = value;
        else if (name == "key")
            out.key = value;
        else if (name == "sentinel")
            out.sentinel = value;
        else if (name == "sentinels")
            out.add_sentinels(value);
        else if (name == "sentinel_user")
            out.sentinel_user = value;
        else if (name == "sentinel_password")
            out.sentinel_password = value;
        else if (name == "slot")
            out.slot = number(value, cluster_slots - 1);
        else if (name == "insecure")
            out.insecure = value == "true" || value == "1";
        else
            throw Error{Code::config, "an address of a Redis server knows no parameter `{}`", name}.hint(
                "It knows ca, cert, key, insecure, sentinel, sentinels, sentinel_user, sentinel_password and slot.");
    }
}

}  // namespace

bool is_url(std::string_view text) { return text.starts_with("redis://") || text.starts_with("rediss://"); }

Endpoint Endpoint::parse(const std::string& text) {
    if (!is_url(text)) refuse();
    Endpoint out;
    std::string_view left = text;
    out.tls = left.starts_with("rediss");
    left.remove_prefix(left.find("://") + 3);
    if (const std::size_t query = left.find('?'); query != std::string_view::npos) {
        take_query(out, left.substr(query + 1));
        left = left.substr(0, query);
    }
    if (const std::size_t slash = left.find('/'); slash != std::string_view::npos) {
        const std::string_view name = left.substr(slash + 1);
        if (!name.empty()) out.database = number(name, 1 << 30);
        left = left.substr(0, slash);
    }
    if (const std::size_t at = left.rfind('@'); at != std::string_view::npos) {
        const std::string_view who = left.substr(0, at);
        const std::size_t colon = who.find(':');
        out.user = decoded(who.substr(0, colon));
        if (colon != std::string_view::npos) out.password = decoded(who.substr(colon + 1));
        left.remove_prefix(at + 1);
    }
    std::string_view host, port;
    take_place(left, host, port);
    if (!host.empty()) out.host = decoded(host);
    if (!port.empty()) out.port = number(port, 65535);
    return out;
}

void Endpoint::add_sentinels(std::string_view list) {
    constexpr int sentinel_port = 26379;
    others.clear();
    while (!list.empty()) {
        const std::string_view one = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), one.size() + 1));
        std::string_view name, at;
        take_place(one.substr(std::min(one.find_first_not_of(' '), one.size())), name, at);
        if (name.empty()) refuse();
        others.emplace_back(name, at.empty() ? sentinel_port : number(at, 65535));
    }
}

std::string Endpoint::place() const { return is_socket() ? host : place_of(host, port); }

std::string Endpoint::shown() const {
    std::string out = fmt::format("{}{}{}", tls ? "rediss://" : "redis://", user.empty() ? "" : encoded(user) + "@",
                                  is_socket() ? encoded(host) : place());
    if (database) out += fmt::format("/{}", *database);
    if (!sentinel.empty()) out += "?sentinel=" + encoded(sentinel);
    if (slot) out += fmt::format("?slot={}", *slot);
    return out;
}

std::string Endpoint::url() const {
    std::string out = tls ? "rediss://" : "redis://";
    if (!user.empty() || !password.empty()) out += fmt::format("{}:{}@", encoded(user), encoded(password));
    out += is_socket() ? encoded(host) : place();
    if (database) out += fmt::format("/{}", *database);
    char sign = '?';
    const auto add = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) out += fmt::format("{}{}={}", std::exchange(sign, '&'), name, encoded(value));
    };
    add("ca", ca);
    add("cert", cert);
    add("key", key);
    add("sentinel", sentinel);
    std::string sentinels;
    if (!sentinel.empty())
        for (const auto& [name, at] : others) sentinels += (sentinels.empty() ? "" : ",") + place_of(name, at);
    add("sentinels", sentinels);
    add("sentinel_user", sentinel_user);
    add("sentinel_password", sentinel_password);
    add("slot", slot ? fmt::format("{}", *slot) : "");
    add("insecure", insecure ? "true" : "");
    return out;
}

}  // namespace holdfast::redis
