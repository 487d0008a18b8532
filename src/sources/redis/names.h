// sources/redis/names.h: the names of items.
//
// Shape    "server": functions and the like; "redis.conf" and "users.acl": what it runs with; "0": a database; "0/01a3-fffffe": layer 1 of a bucket, the newest first
// Source   doc/format/redis.md
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace holdfast::redis {

constexpr std::string_view server_item = "server";
constexpr std::string_view config_item = "redis.conf";
constexpr std::string_view users_item = "users.acl";
inline bool is_setting(std::string_view path) { return path == config_item || path == users_item; }

std::string layer_path(std::uint64_t database, std::size_t bucket, std::uint32_t layer);

struct LayerPlace {
    std::uint64_t database = 0;
    std::string bucket;  // "01a3"
};
std::optional<LayerPlace> place_of(std::string_view path);  // nothing when it is no layer

// As a person names it: "0/user:1".
std::string key_path(std::uint64_t database, std::string_view name);

}  // namespace holdfast::redis
