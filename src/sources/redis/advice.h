// sources/redis/advice.h: what of a server's settings a person should know who relies on its data.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "clients/redis/connection.h"

namespace holdfast::redis {

using Settings = std::map<std::string, std::string, std::less<>>;
Settings settings_of(Connection& connection);  // what the account may see of them
// What it runs with, as it stands in its files: "redis.conf" and "users.acl" (names.h).
std::map<std::string, std::string> settings_texts(Connection& connection);
std::vector<std::string> advice(std::string_view info, const Settings& settings);
// What matters for who follows the stream of changes.
std::vector<std::string> advice_for_following(const Settings& settings);

}  // namespace holdfast::redis
