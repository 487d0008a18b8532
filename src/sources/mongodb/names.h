// sources/mongodb/names.h: how databases and collections are named as items.
//
// Shape    "DATABASE/COLLECTION", each part with '/' as %2F and '%' as %25; of a database dots as %2E, and a first byte
//          that would sort behind '~' as %XX; a collection "." or ".." with %2E. At the root, where no database's name
//          can be since it has a dot: "DATABASE.metadata.bson", "users.bson", "roles.bson"; behind all databases
//          "~oplog/entries.bson"
// Source   doc/format/mongodb.md
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace holdfast::mongodb {

constexpr std::string_view users_item = "users.bson";
constexpr std::string_view roles_item = "roles.bson";
constexpr std::string_view metadata_suffix = ".metadata.bson";
constexpr std::string_view oplog_folder = "~oplog";
constexpr std::string_view oplog_item = "~oplog/entries.bson";

struct Namespace {
    std::string database, collection;
    auto operator<=>(const Namespace&) const = default;
    std::string text() const { return database + "." + collection; }
};
Namespace split_namespace(std::string_view text);  // at the first dot

// A time series lies in buckets, and is written to there: shop.system.buckets.points is shop.points.
constexpr std::string_view buckets_prefix = "system.buckets.";
constexpr std::string_view views_collection = "system.views";
bool is_buckets(const Namespace& name);
Namespace visible(Namespace name);
// What $out, mapReduce, convertToCapped and a rename from another database fill, and then rename to what they are for.
bool is_temporary(const Namespace& name);

std::string encode_database(std::string_view name);
std::string encode_collection(std::string_view name);
std::string decode_part(std::string_view part);
std::string item_path(const Namespace& name);
std::string metadata_item(std::string_view database);
bool is_metadata(std::string_view path);
// Of "shop/orders" and "shop.metadata.bson": the decoded database.
std::string database_of(std::string_view path);
Namespace namespace_of(std::string_view path);  // of a collection's item

}  // namespace holdfast::mongodb
