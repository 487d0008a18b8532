// clients/postgres/endpoint.h: where a PostgreSQL server is and how it is reached, in libpq's words.
//
// Shape    parsed from a URL or "host=… dbname=…"; PGHOST, PGPASSFILE, PGSERVICE and the rest hold for what is not said
// Errors   config when the text is neither
// Threads  a value
// I1  passwords leave it only for libpq and, by environment() and service_file(), for children: never in shown() or
//     child_conninfo(); conninfo() stays within this process
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::postgres {

bool is_url(std::string_view text);  // postgres://… or postgresql://…

class Endpoint {
public:
    static Endpoint parse(const std::string& text);

    void set(const std::string& keyword, const std::string& value) { parameters_[keyword] = value; }
    std::string get(const std::string& keyword) const;  // empty: not said
    std::string database() const { return get("dbname"); }
    Endpoint with_database(const std::string& name) const;

    std::string shown() const;  // "postgres://user@host:port/database"
    std::string child_conninfo() const;
    std::string conninfo() const;  // whole, with the password: for parse() only
    std::vector<std::pair<std::string, std::string>> environment() const;
    // What a child can be given neither by child_conninfo() nor by environment(): the service file that it is to read;
    // empty: nothing. Throws config when the endpoint has a service of its own.
    std::string service_file() const;
    const std::map<std::string, std::string>& parameters() const { return parameters_; }

private:
    std::map<std::string, std::string> parameters_;
};

std::string quote_name(std::string_view name);     // "odd ""name"""
std::string quote_literal(std::string_view text);  // E'…', whatever standard_conforming_strings says

}  // namespace holdfast::postgres
