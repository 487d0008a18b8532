// sources/redis/advice.h: what of a server's settings a person should know who relies on its data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/observation.h"
#include "base/world.h"
#include "clients/redis/connection.h"

namespace holdfast::redis {

using Settings = std::map<std::string, std::string, std::less<>>;
Settings settings_of(Connection& connection);  // what the account may see of them
// What it runs with, as it stands in its files: "redis.conf" and "users.acl" (names.h).
std::map<std::string, std::string> settings_texts(Connection& connection);

// What is declared of a source, and what its server does.
struct Load {
    std::optional<Nanoseconds> rpo = {};
    std::uint64_t bytes_each_second = 0;  // of changes; 0: none, or not known
    std::uint64_t bytes = 0;              // of data; 0: not known
};
Observations advice(std::string_view info, const Settings& settings, const Load& load = {});
// What matters for who follows the stream of changes.
Observations advice_for_following(const Settings& settings, const Load& load = {});

// How many bytes of changes it makes in a second; asks twice.
std::uint64_t ask_rate(World& world, Connection& connection);

}  // namespace holdfast::redis
