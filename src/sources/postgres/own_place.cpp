#include "sources/postgres/own_place.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "clients/postgres/connection.h"
#include "sources/postgres/catalog.h"

namespace holdfast::postgres {

namespace {

struct Address {
    std::string host;
    std::string port;
    std::string service;
    bool operator==(const Address&) const = default;
};

Address address_of(const Endpoint& endpoint) {
    Address out{endpoint.get("host"), endpoint.get("port"), endpoint.get("service")};
    std::ranges::transform(out.host, out.host.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (out.host == "localhost" || out.host == "::1" || out.host == "[::1]") out.host = "127.0.0.1";
    if (out.port.empty()) out.port = "5432";
    return out;
}

}  // namespace

bool has_address_of(const std::string& url, const Endpoint& target) {
    return is_url(url) && address_of(Endpoint::parse(url)) == address_of(target);
}

std::string is_own_place(const OwnPlaceRequest& request) {
    if (!is_url(request.target)) return "";  // files of dumps
    const Endpoint target = Endpoint::parse(request.target);
    if (std::ranges::any_of(request.described, [&](const std::string& each) { return has_address_of(each, target); }))
        return fmt::format("{} has its address", target.shown());
    const std::string captured = request.facts.value("", "about system identifier").value_or("");
    if (captured.empty()) return "";
    // The database that the target names may not be there yet.
    for (const std::string& database : {std::string("postgres"), target.database()}) {
        if (database.empty()) continue;
        try {
            Connection connection(request.world, target.with_database(database), Code::target_failed);
            if (system_identifier(connection) != captured) return "";
            return fmt::format("{} has its system identifier {}", target.shown(), captured);
        } catch (const Error& error) {
            if (error.code() != Code::target_failed) throw;
        }
    }
    return "";
}

}  // namespace holdfast::postgres
