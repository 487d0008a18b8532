// clients/mongodb/endpoint.h: where MongoDB servers are and how they are reached, in the words of its URIs.
//
// Shape    mongodb://USER@HOST:PORT,HOST2/DATABASE?replicaSet=rs0&…, with everything that libmongoc takes
// Errors   config for what is no such URI
// Threads  a value
// I1  the password leaves it only for libmongoc: never in shown()
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::mongodb {

bool is_url(std::string_view text);  // mongodb://… or mongodb+srv://…

class Endpoint {
public:
    static Endpoint parse(const std::string& text);

    // "host", "port", "user", "password", "auth_source", "database", or an option of URIs; empty values say nothing.
    void set(const std::string& name, const std::string& value);
    // Only this server of several, whatever it is in its replica set.
    Endpoint direct_to(const std::string& host_and_port) const;

    std::string database() const;
    Endpoint without_database() const;                  // the user is looked for where it was
    std::vector<std::string> hosts() const;             // "db1:27017", in small letters; of mongodb+srv its name
    std::string option(const std::string& name) const;  // of the URI; empty: not said
    bool has_user() const;
    std::string user() const;
    std::string shown() const;  // "mongodb://user@host:27017/database"
    const std::string& uri() const { return uri_; }

private:
    std::string uri_ = "mongodb://localhost/";
};

}  // namespace holdfast::mongodb
