#include "clients/redis/discover.h"

#include <charconv>
#include <functional>
#include <tuple>

#include "base/text.h"
#include "clients/redis/cluster.h"
#include "clients/redis/connection.h"

namespace holdfast::redis {

namespace {

int number_in(std::string_view text) {
    int out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

// "ip=10.0.0.5,port=6379,state=online,offset=…"
std::string field(std::string_view line, std::string_view name) {
    for (const std::string& part : split(line, ','))
        if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
            return part.substr(name.size() + 1);
    return "";
}

Endpoint ask_sentinel(World& world, const Endpoint& endpoint, const Endpoint& sentinel, Code failure) {
    Connection asked(world, sentinel, failure);
    const Reply found = asked.try_ask({"SENTINEL", "get-master-addr-by-name", endpoint.sentinel});
    if (found.is_error() && found.text.starts_with("NOAUTH"))
        throw Error{failure, "the Sentinel at {} wants a password", sentinel.place()}.hint(
            "Give sentinel_password, and sentinel_user when it has users.");
    if (found.is_error()) asked.fail(found, "SENTINEL");
    if (found.kind != Reply::Kind::list || found.list.size() != 2)
        throw Error{failure, "the Sentinel at {} knows no master named {}", sentinel.place(), endpoint.sentinel}.hint(
            "SENTINEL MASTERS lists them.");
    Endpoint out = endpoint;
    out.sentinel.clear();
    out.sentinel_user.clear();
    out.sentinel_password.clear();
    out.others.clear();
    out.host = found.list[0].text;
    out.port = number_in(found.list[1].text);
    return out;
}

std::vector<std::pair<std::string, int>> places_of(const Endpoint& endpoint) {
    std::vector<std::pair<std::string, int>> out{{endpoint.host, endpoint.port}};
    out.insert(out.end(), endpoint.others.begin(), endpoint.others.end());
    return out;
}

using PassedOver = std::function<void(const Endpoint& sentinel, const Error& why)>;

// The first Sentinel that knows the master.
Endpoint master_of(World& world, const Endpoint& endpoint, Code failure, const PassedOver& passed_over) {
    Endpoint sentinel = endpoint;
    sentinel.sentinel.clear();
    sentinel.database.reset();
    sentinel.user = endpoint.sentinel_user;
    sentinel.password = endpoint.sentinel_password;
    const auto places = places_of(endpoint);
    for (std::size_t i = 0;; ++i) {
        std::tie(sentinel.host, sentinel.port) = places[i];
        try {
            return ask_sentinel(world, endpoint, sentinel, failure);
        } catch (const Error& error) {
            if (error.code() != failure || i + 1 == places.size()) throw;
            passed_over(sentinel, error);
        }
    }
}

// Any server of the cluster that answers is asked.
Endpoint master_of_slot(World& world, const Endpoint& endpoint, Code failure) {
    const auto places = places_of(endpoint);
    for (std::size_t i = 0; i < places.size(); ++i) {
        Endpoint any = endpoint;
        any.slot.reset();
        std::tie(any.host, any.port) = places[i];
        try {
            Connection asked(world, any, failure);
            for (const Shard& shard : ask_cluster(asked))
                if (shard.slots[static_cast<std::size_t>(*endpoint.slot)]) return shard.master;
        } catch (const Error& error) {
            if (error.code() != failure || i + 1 == places.size()) throw;
        }
    }
    throw Error{failure, "no server of the cluster at {} serves slot {}", endpoint.place(), *endpoint.slot}.hint(
        "CLUSTER NODES lists who serves what.");
}

}  // namespace

std::optional<Endpoint> named_master(World& world, const Endpoint& endpoint, Code failure) {
    try {
        return master_of(world, endpoint, failure, [](const Endpoint&, const Error&) {});
    } catch (const Error& error) {
        if (error.code() != failure) throw;
        return std::nullopt;
    }
}

Endpoint discover(World& world, const Endpoint& endpoint, bool prefer_replica, Code failure) {
    const auto say = [&](const Endpoint& sentinel, const Error& why) {
        world.log.warning(fmt::format("the Sentinel at {} is passed over: {}", sentinel.place(), why.message()));
    };
    const Endpoint master = !endpoint.sentinel.empty() ? master_of(world, endpoint, failure, say)
                            : endpoint.slot            ? master_of_slot(world, endpoint, failure)
                                                       : endpoint;
    if (!prefer_replica) return master;
    Connection asked(world, master, failure);
    const std::string info = asked.ask({"INFO", "replication"}).text;
    if (info_value(info, "role") != "master") return master;  // it is a replica itself
    for (int i = 0;; ++i) {
        const std::string line = info_value(info, fmt::format("slave{}", i));
        if (line.empty()) break;
        // Others that follow, such as we do, have no port.
        if (field(line, "state") != "online" || number_in(field(line, "port")) == 0) continue;
        Endpoint out = master;
        out.host = field(line, "ip");
        out.port = number_in(field(line, "port"));
        try {
            const Connection tried(world, out, failure);
            return out;
        } catch (const Error& error) {
            if (error.code() != failure) throw;
            world.log.warning(fmt::format("the replica at {} is passed over: {}", out.place(), error.message()));
        }
    }
    world.log.warning(
        fmt::format("the master at {} has no replica that is in step; the master itself is asked", master.place()));
    return master;
}

}  // namespace holdfast::redis
