#include "sources/redis/own_place.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/connection.h"
#include "clients/redis/discover.h"

namespace holdfast::redis {

namespace {

std::string address_of(Endpoint endpoint) {
    std::ranges::transform(endpoint.host, endpoint.host.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (endpoint.host == "localhost" || endpoint.host == "::1") endpoint.host = "127.0.0.1";
    return fmt::format("{} {}", endpoint.place(), endpoint.sentinel);
}

// Captured, and what the target says of itself.
struct Mark {
    std::string_view fact;
    std::string_view field;
};
constexpr std::array marks{Mark{run_id_fact, "run_id"}, Mark{history_fact, "master_replid"},
                           Mark{history_fact, "master_replid2"}};

bool share_any(const std::string& captured, const std::vector<std::string>& found) {
    const std::vector<std::string> ids = split(captured, ',');
    return !captured.empty() &&
           std::ranges::any_of(found, [&](const std::string& id) { return std::ranges::find(ids, id) != ids.end(); });
}

}  // namespace

std::string is_own_place(const OwnPlaceRequest& request) {
    if (!is_url(request.target)) return "";  // a folder
    const Endpoint target = Endpoint::parse(request.target);
    for (const std::string& each : request.described)
        if (is_url(each) && address_of(Endpoint::parse(each)) == address_of(target))
            return fmt::format("{} has its address", target.shown());
    try {
        Connection connection(request.world, discover(request.world, target, false, Code::target_failed),
                              Code::target_failed);
        const std::string info = connection.ask({"INFO"}).text;
        if (info_value(info, "cluster_enabled") == "1" &&
            share_any(request.facts.value("", nodes_fact).value_or(""), own_slots(connection).nodes))
            return fmt::format("{} is of its cluster", target.shown());
        for (const auto& [fact, field] : marks) {
            const std::string captured = request.facts.value("", fact).value_or("");
            if (!captured.empty() && captured == info_value(info, field))
                return fmt::format("{} has its {} {}", target.shown(), fact.substr(6), captured);
        }
    } catch (const Error& error) {
        if (error.code() != Code::target_failed) throw;
    }
    return "";
}

}  // namespace holdfast::redis
