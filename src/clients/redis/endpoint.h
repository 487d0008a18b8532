// clients/redis/endpoint.h: where a Redis server is and how it is reached.
//
// Shape    redis://USER:PASSWORD@HOST:PORT/DB?ca=FILE, rediss:// for TLS; a socket's path stands as host: %2Frun%2Fredis.sock
// Errors   config when the text is neither
// Threads  a value
// I1  the password leaves it only for the connection and in url(): never in shown()
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::redis {

constexpr int cluster_slots = 16384;

bool is_url(std::string_view text);  // redis://… or rediss://…

struct Endpoint {
    std::string host = "127.0.0.1";  // a name, an address, or the path of a socket
    int port = 6379;
    std::string user;
    std::string password;
    std::optional<int> database;  // empty: all, or the one that it was
    bool tls = false;
    bool insecure = false;  // the server's certificate is not looked at
    std::string ca;         // file of certificates that are trusted; empty: the system's
    std::string cert;
    std::string key;
    std::string sentinel;       // name of a master: host and port are those of a Sentinel
    std::string sentinel_user;  // Sentinels have accounts of their own, the same on all of them
    std::string sentinel_password;
    std::optional<int> slot;  // the master of a cluster that serves it; host and port are those of any of its servers

    // Servers of the cluster, or Sentinels, for when this one is gone.
    std::vector<std::pair<std::string, int>> others = {};

    static Endpoint parse(const std::string& text);
    void add_sentinels(std::string_view list);  // "host:port,host:port"; into `others`
    bool is_socket() const { return host.starts_with('/'); }
    std::string shown() const;  // "redis://user@host:port/0"
    std::string url() const;    // all of it, as parse() takes it
    std::string place() const;  // "host:port", or the socket
};

}  // namespace holdfast::redis
