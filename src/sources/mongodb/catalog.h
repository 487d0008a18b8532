// sources/mongodb/catalog.h: databases, collections and their indexes: listed, stored, and made again.
//
// Shape    the metadata of a database is one document a collection: {name, type, options, uuid, idIndex, indexes, keyed}
// Errors   as the client's; corrupt for metadata that is none
// Source   doc/format/mongodb.md
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "clients/mongodb/client.h"
#include "source/facts.h"
#include "sources/mongodb/names.h"

namespace holdfast::mongodb {

struct Collection {
    Namespace name;
    std::string type;            // "collection", "view" or "timeseries"
    Bytes options;               // as `create` takes them
    Bytes uuid;                  // 16 bytes; empty where the server has none
    Bytes id_index;              // of what has one; else empty
    std::vector<Bytes> indexes;  // without that of _id, by name

    bool is_view() const { return type == "view"; }
    bool is_capped() const;
    // Where its documents lie: a time series has them in buckets.
    std::string stored_name() const {
        return type == "timeseries" ? std::string(buckets_prefix) + name.collection : name.collection;
    }
};

bool is_internal_database(std::string_view name);    // admin, config, local
bool is_internal_collection(std::string_view name);  // system.… that is not the user's

// What a server lets be written, which may be older than itself: "6.0"; empty when it does not say.
std::string feature_version(Client& client);
std::vector<std::string> list_databases(Client& client);                         // of those that the user may see
std::vector<std::string> list_all_databases(Client& client);                     // refused to who may not see all
std::vector<Namespace> list_names(Client& client, const std::string& database);  // of its collections
std::vector<Collection> list_collections(Client& client, const std::string& database);
std::optional<Collection> look_up(Client& client, const Namespace& name);
// Documents and bytes, as the server estimates them.
struct Size {
    std::uint64_t documents = 0, bytes = 0;
};
Size estimate_size(Client& client, const Namespace& stored);

Bytes encode_metadata(const std::vector<Collection>& collections);
std::vector<Collection> decode_metadata(const std::string& database, ByteView bytes);

std::vector<Fact> facts_of(const Collection& collection);

// {create: …} and {createIndexes: …} for a name.
Bytes create_command(const Collection& collection, const std::string& name);
Bytes create_indexes_command(const std::string& name, const std::vector<Bytes>& indexes);

}  // namespace holdfast::mongodb
