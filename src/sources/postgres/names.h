// sources/postgres/names.h: how databases, schemas and tables are named as items.
//
// Shape    "DATABASE/SCHEMA/TABLE", each part with '/' as %2F and '%' as %25; a part that would be a name of ours, "." or
//          ".." has its dots as %2E
// Source   doc/format/postgres.md
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::postgres {

constexpr std::string_view globals_item = "globals.sql";   // at the root
constexpr std::string_view archive_name = "archive.dump";  // in a database's folder, beside its schemas

std::string encode_part(std::string_view name);
std::string decode_part(std::string_view part);
std::string item_path(std::string_view database, std::string_view schema, std::string_view table);

// {"shop", "public", "orders"}: the decoded parts of a path, one to three.
std::vector<std::string> parts_of(std::string_view path);
bool is_archive(std::string_view path);

}  // namespace holdfast::postgres
