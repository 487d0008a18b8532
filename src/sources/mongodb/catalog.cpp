#include "sources/mongodb/catalog.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

Bytes without(ByteView document, std::initializer_list<std::string_view> names) {
    Builder out;
    for (const Element& each : Elements(document))
        if (std::ranges::find(names, each.name) == names.end()) out.add(each);
    return out.done();
}

bool is_of_id(ByteView index) {
    const ByteView key = document_of(index, "key");
    const auto first = Elements(key).begin();
    if (first == Elements(key).end() || first->name != "_id" || first->number().value_or(0) != 1) return false;
    auto second = first;
    return ++second == Elements(key).end();
}

void add_indexes(Client& client, Collection& collection) {
    const Namespace& name = collection.name;
    // Else what is still being built, and may never be, is listed like the others.
    Bytes list = Builder().text("listIndexes", name.collection).boolean("includeBuildUUIDs", true).done();
    Reply asked = client.ask(name.database, list);
    if (!asked.ok() && asked.code != server_code::namespace_not_found) {  // servers before 4.4 know no such option
        list = command("listIndexes", name.collection);
        asked = client.ask(name.database, list);
    }
    // Dropped meanwhile, or a kind that has none.
    if (asked.code == server_code::namespace_not_found) return;
    if (!asked.ok()) client.fail(asked, "listing the indexes of " + name.text());
    Cursor cursor(client, name.database, std::move(list), {});
    while (true) {
        const ByteView index = cursor.next();
        if (index.empty()) break;
        if (find(index, "buildUUID")) continue;
        Bytes kept = without(index, {"ns"});
        if (is_of_id(index) && !find(index, "clustered"))
            collection.id_index = std::move(kept);
        else if (!find(index, "clustered"))
            collection.indexes.push_back(std::move(kept));
    }
    std::ranges::sort(collection.indexes, {}, [](const Bytes& index) { return text_of(index, "name"); });
}

std::string json_list(const std::vector<Bytes>& documents) {
    std::vector<std::string> parts;
    for (const Bytes& each : documents) parts.push_back(to_json(each));
    return "[" + join(parts, ", ") + "]";
}

}  // namespace

bool Collection::is_capped() const {
    const auto capped = find(options, "capped");
    return capped && capped->is_true();
}

bool is_internal_database(std::string_view name) { return name == "admin" || name == "config" || name == "local"; }

bool is_internal_collection(std::string_view name) { return name.starts_with("system.") && name != "system.js"; }

std::string feature_version(Client& client) {
    constexpr auto parameter = "featureCompatibilityVersion";
    const Reply reply = client.ask("admin", Builder().i32("getParameter", 1).i32(parameter, 1).done());
    return reply.ok() ? text_of(document_of(reply.document, parameter), "version") : "";
}

namespace {

Builder list_databases_command() { return Builder().i32("listDatabases", 1).boolean("nameOnly", true); }

std::vector<std::string> database_names(ByteView reply) {
    std::vector<std::string> out;
    for (const Element& each : Elements(document_of(reply, "databases"))) out.push_back(text_of(each.value, "name"));
    std::ranges::sort(out);
    return out;
}

}  // namespace

std::vector<std::string> list_databases(Client& client) {
    return database_names(client.run("admin", list_databases_command().done()));
}

std::vector<std::string> list_all_databases(Client& client) {
    const Reply reply = client.ask("admin", list_databases_command().boolean("authorizedDatabases", false).done());
    if (reply.code == server_code::unauthorized)
        throw Error{client.failure(), "{}: the user may not see which databases there are: {}",
                    client.endpoint().shown(), reply.message}
            .hint(
                "Give it the action `listDatabases` on the cluster (the role `backup` on `admin` has it), or name the "
                "databases.");
    if (!reply.ok()) client.fail(reply, "listDatabases");
    return database_names(reply.document);
}

namespace {

std::vector<Collection> listed(Client& client, const std::string& database, Bytes asked) {
    std::vector<Collection> out;
    {
        Cursor cursor(client, database, std::move(asked), {});
        while (true) {
            const ByteView each = cursor.next();
            if (each.empty()) break;
            Collection collection;
            collection.name = {database, text_of(each, "name")};
            if (is_internal_collection(collection.name.collection)) continue;
            collection.type = text_of(each, "type");
            if (collection.type.empty()) collection.type = "collection";
            collection.options = without(document_of(each, "options"), {"uuid"});
            if (const auto uuid = find(document_of(each, "info"), "uuid"); uuid && uuid->binary())
                collection.uuid = to_bytes(*uuid->binary());
            out.push_back(std::move(collection));
        }
    }
    for (Collection& each : out)
        if (!each.is_view()) add_indexes(client, each);
    std::ranges::sort(out, {}, &Collection::name);
    return out;
}

}  // namespace

std::vector<Namespace> list_names(Client& client, const std::string& database) {
    std::vector<Namespace> out;
    Cursor cursor(client, database, Builder().i32("listCollections", 1).boolean("nameOnly", true).done(), {});
    while (true) {
        const ByteView each = cursor.next();
        if (each.empty()) return out;
        if (std::string name = text_of(each, "name"); !is_internal_collection(name))
            out.push_back({database, std::move(name)});
    }
}

std::vector<Collection> list_collections(Client& client, const std::string& database) {
    return listed(client, database, command("listCollections", 1));
}

std::optional<Collection> look_up(Client& client, const Namespace& name) {
    auto found = listed(
        client, name.database,
        Builder().i32("listCollections", 1).document("filter", Builder().text("name", name.collection).done()).done());
    const auto there = std::ranges::find(found, name, &Collection::name);
    if (there == found.end()) return std::nullopt;
    return std::move(*there);
}

Size estimate_size(Client& client, const Namespace& stored) {
    const Reply stats = client.ask(stored.database, command("collStats", stored.collection));
    if (!stats.ok()) return {};
    const auto at_least_0 = [](std::int64_t number) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
    };
    return {at_least_0(number_of(stats.document, "count")), at_least_0(number_of(stats.document, "size"))};
}

Bytes encode_metadata(const std::vector<Collection>& collections) {
    Bytes out;
    for (const Collection& each : collections) {
        Builder builder;
        builder.text("name", each.name.collection).text("type", each.type).document("options", each.options);
        if (!each.uuid.empty()) {
            Bytes binary;
            ByteWriter writer(binary);
            writer.u32(static_cast<std::uint32_t>(each.uuid.size()));
            constexpr std::uint8_t uuid_subtype = 4;
            writer.u8(uuid_subtype);
            writer.raw(each.uuid);
            builder.value("uuid", BsonType::binary, binary);
        }
        if (!each.id_index.empty()) builder.document("idIndex", each.id_index);
        append(out, builder.array("indexes", each.indexes).done());
    }
    return out;
}

std::vector<Collection> decode_metadata(const std::string& database, ByteView bytes) {
    std::vector<Collection> out;
    Documents documents(bytes);
    while (const auto each = documents.next()) {
        check_document(*each);
        Collection& collection = out.emplace_back();
        collection.name = {database, text_of(*each, "name")};
        collection.type = text_of(*each, "type");
        collection.options = to_bytes(document_of(*each, "options"));
        if (const auto uuid = find(*each, "uuid"); uuid && uuid->binary()) collection.uuid = to_bytes(*uuid->binary());
        if (const auto index = find(*each, "idIndex")) collection.id_index = to_bytes(index->value);
        for (const Element& index : Elements(document_of(*each, "indexes")))
            if (index.is_document()) collection.indexes.push_back(to_bytes(index.value));
        if (collection.name.collection.empty()) throw Error{Code::corrupt, "metadata of a collection without a name"};
    }
    if (!documents.rest().empty()) throw Error{Code::corrupt, "the metadata of {} ends in the midst", database};
    return out;
}

std::vector<Fact> facts_of(const Collection& collection) {
    const std::string item = item_path(collection.name);
    std::vector<Fact> out{{item, "options", to_json(collection.options)}, {item, "type", collection.type}};
    if (!collection.is_view()) out.push_back({item, "indexes", json_list(collection.indexes)});
    return out;
}

Bytes create_command(const Collection& collection, const std::string& name) {
    Builder out;
    out.text("create", name);
    for (const Element& each : Elements(collection.options))
        if (each.name != "create" && each.name != "autoIndexId") out.add(each);
    // A collation of its own is given by the options.
    return out.done();
}

Bytes create_indexes_command(const std::string& name, const std::vector<Bytes>& indexes) {
    std::vector<Bytes> kept;
    for (const Bytes& each : indexes) {
        Builder index;
        // Version 2 is what servers make by themselves; some know no other.
        for (const Element& field : Elements(each))
            if (field.name != "v" || field.number() != 2) index.add(field);
        kept.push_back(index.done());
    }
    return Builder().text("createIndexes", name).array("indexes", kept).done();
}

}  // namespace holdfast::mongodb
