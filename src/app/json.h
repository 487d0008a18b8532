// app/json.h: what `--json` prints. Keys keep the order in which they were set.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/item.h"
#include "repo/ids.h"
#include "source/source.h"

namespace holdfast::app {

using Json = nlohmann::ordered_json;

// One line, bytes that are not UTF-8 replaced.
std::string text_of(const Json& json);

// "path", and "path_b64" when the path is not UTF-8.
void add_path(Json& to, std::string_view path);

Json json_of(const Error& error);
Json json_of(const Item& item);
Json json_of(const Finding& finding);
Json ids_of(const std::vector<repo::SnapshotId>& ids);  // in full

}  // namespace holdfast::app
