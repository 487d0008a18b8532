#include "sources/mongodb/own_place.h"

#include <algorithm>

#include "base/error.h"
#include "sources/mongodb/oplog.h"
#include "sources/mongodb/restore_options.h"

namespace holdfast::mongodb {

namespace {

bool shares_a_host(const Endpoint& a, const Endpoint& b) {
    const std::vector<std::string> hosts = b.hosts();
    return std::ranges::any_of(a.hosts(),
                               [&](const std::string& each) { return std::ranges::find(hosts, each) != hosts.end(); });
}

}  // namespace

std::string is_own_place(const OwnPlaceRequest& request) {
    if (!is_url(request.target)) return "";  // files of dumps
    const Endpoint target = server_endpoint(request.target);
    for (const std::string& each : request.described)
        if (is_url(each) && shares_a_host(Endpoint::parse(each), target))
            return fmt::format("{} has its address", target.shown());
    const std::string captured = request.facts.value("", "about line").value_or("");
    if (captured.empty()) return "";
    try {
        Client client(request.world, target, Code::target_failed);
        if (!has_oplog(client) || line_of(client) != captured) return "";
        return fmt::format("{} has its history, {}", target.shown(), captured);
    } catch (const Error& error) {
        if (error.code() != Code::target_failed) throw;
        return "";
    }
}

}  // namespace holdfast::mongodb
