#include "sources/mongodb/mongodb_source.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "sandbox/sandbox.h"
#include "source/option_values.h"
#include "sources/mongodb/capture.h"
#include "sources/mongodb/catalog.h"
#include "sources/mongodb/document_diff.h"
#include "sources/mongodb/dump.h"
#include "sources/mongodb/export.h"
#include "sources/mongodb/follower.h"
#include "sources/mongodb/journal_replay.h"
#include "sources/mongodb/measure.h"
#include "sources/mongodb/names.h"
#include "sources/mongodb/own_place.h"
#include "sources/mongodb/rebuild.h"
#include "sources/mongodb/restore_options.h"
#include "sources/mongodb/server.h"
#include "sources/mongodb/swap.h"

namespace holdfast::mongodb {

namespace {

using Type = SourceOption::Type;

constexpr std::array options_table{
    SourceOption{"url", Type::reference, "mongodb://USER@HOST:PORT/DATABASE?…; without a database all of them"},
    SourceOption{"host", Type::reference, "the server's name, address or path of its socket"},
    SourceOption{"port", Type::reference, "its port"},
    SourceOption{"user", Type::reference, "who connects"},
    SourceOption{"password", Type::secret, "its password, as env:NAME, file:PATH or exec:COMMAND"},
    SourceOption{"auth_source", Type::reference, "the database where the user is known; `admin` if not said"},
    SourceOption{"database", Type::reference, "one database; without it and `databases` all of them"},
    SourceOption{"databases", Type::list, "several databases, by name or glob"},
    SourceOption{"collections", Type::list, "only these, as DATABASE/COLLECTION or globs"},
    SourceOption{"exclude", Type::list, "leave out what matches: a DATABASE/COLLECTION or a DATABASE"},
    SourceOption{"read_preference", Type::text, "primary, secondary, secondaryPreferred …: which member is read"},
    SourceOption{"consistency", Type::text, "automatic (default), snapshot, oplog or none: how one instant is had"},
    SourceOption{"range_size", Type::size, "large collections are read by ranges of so much, several at once (16M)"},
    SourceOption{"canary", Type::duration,
                 "`follow` writes a document so often, by which a restore shows how far it reaches"},
    SourceOption{"server_program", Type::text, "for `prove`: a program that takes mongod's options, instead of mongod"},
};

constexpr std::array restore_table{
    SourceOption{"existing", Type::text, "what is there already: fail (default), drop, missing or replace"},
    SourceOption{"beside", Type::text, "call the restored database so, and leave its namesake alone"},
    SourceOption{"rename", Type::list, "OLD:NEW: restore a database, or DATABASE/COLLECTION, under another name"},
    SourceOption{"query", Type::text, "of one collection only the documents that this MongoDB query finds, as JSON"},
    SourceOption{"into_source", Type::flag, "the very database that was captured may be changed"},
    SourceOption{"older_server", Type::flag, "the target may be of an older feature version than what was captured"},
    SourceOption{"with_users", Type::flag, "users and roles that are missing come back, too"},
};

constexpr std::array import_table{
    SourceOption{"database", Type::reference,
                 "the database of a dump that does not say one: COLLECTION.bson at its top"},
};

class MongoSource final : public Source {
public:
    MongoSource(std::string name, CaptureOptions options) : name_(std::move(name)), options_(std::move(options)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "mongodb"; }
    std::vector<std::string> describe() const override {
        std::vector<std::string> out{options_.endpoint.shown()};
        out.insert(out.end(), options_.databases.begin(), options_.databases.end());
        out.insert(out.end(), options_.collections.begin(), options_.collections.end());
        return out;
    }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return begin_capture(request.world, options_);
    }
    std::unique_ptr<Follower> follow(const FollowRequest& request) override {
        return mongodb::follow(options_, request);
    }

private:
    const std::string name_;
    const CaptureOptions options_;
};

Endpoint endpoint_of(const std::string& name, const SourceOptions& options) {
    const std::string argument = option_text(options, "argument");
    const std::string url = argument.empty() ? option_text(options, "url") : argument;
    if (url.empty() && option_text(options, "host").empty())
        throw Error{Code::config, "source {} names no server", name}.hint(
            "Give `url: \"mongodb://USER@HOST/DATABASE\"`, or `host`, `user` and `database`.");
    Endpoint out = url.empty() || is_unresolved(url) ? Endpoint() : Endpoint::parse(url);
    for (const std::string keyword : {"host", "port", "user", "password", "database", "auth_source"})
        if (const std::string value = option_text(options, keyword); !value.empty() && !is_unresolved(value))
            out.set(keyword, value);
    if (const std::string preference = option_text(options, "read_preference"); !preference.empty())
        out.set("readPreference", preference);
    if (out.has_user() && out.option("authSource").empty()) out.set("auth_source", "admin");
    return out;
}

Consistency consistency_of(const std::string& name, const std::string& text) {
    if (text.empty() || text == "automatic") return Consistency::automatic;
    if (text == "snapshot") return Consistency::snapshot;
    if (text == "oplog") return Consistency::oplog;
    if (text == "none") return Consistency::none;
    throw Error{Code::config, "source {}: consistency is automatic, snapshot, oplog or none, not `{}`", name,
                printable(text)};
}

CaptureOptions capture_options(const std::string& name, const SourceOptions& options) {
    CaptureOptions out;
    out.source = name;
    out.endpoint = endpoint_of(name, options);
    out.databases = option_list(options, "databases");
    out.collections = option_list(options, "collections");
    out.exclude = option_list(options, "exclude");
    if (out.databases.empty() && !out.endpoint.database().empty()) out.databases = {out.endpoint.database()};
    const bool is_resolved = std::ranges::none_of(std::array{"argument", "url", "database"}, [&](const char* each) {
        return is_unresolved(option_text(options, each));
    });
    for (std::string& each : out.collections) {
        if (each.find('/') != std::string::npos) continue;
        if (out.databases.size() == 1)
            each = encode_database(out.databases.front()) + "/" + each;
        else if (is_resolved)
            throw Error{Code::config, "source {}: the collection `{}` is of no database", name, printable(each)}.hint(
                "Write DATABASE/COLLECTION, or name one database by `database`.");
    }
    out.consistency = consistency_of(name, option_text(options, "consistency"));
    if (const std::string size = option_text(options, "range_size"); !size.empty())
        out.range_bytes = parse_size(size).value_or(out.range_bytes);
    if (const std::string canary = option_text(options, "canary"); !canary.empty())
        out.canary_every = parse_duration(canary).value_or(0);
    if (out.canary_every > 0 && !out.databases.empty() && std::ranges::all_of(out.databases, has_glob))
        throw Error{Code::config, "source {}: `canary` has no database, for `databases` are globs only", name}.hint(
            "Name one of them as well: the canary is written there.");
    return out;
}

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    return std::make_unique<MongoSource>(name, capture_options(name, options));
}

std::string live_place(const SourceOptions& options) {
    const Endpoint endpoint = endpoint_of("", options);
    // A database of the URL would be read in place of each that is named besides.
    return options.contains("databases") ? endpoint.without_database().uri() : endpoint.uri();
}

bool is_renamed(const std::string& item, const RestoreOptions& chosen) {
    return std::ranges::any_of(
        chosen.renames, [&](const auto& each) { return is_within(item, each.first) || is_within(item, each.second); });
}

std::unique_ptr<Source> import_dump(const ImportRequest& request) {
    return load_dump({request.sandbox.world(), request.path, request.sandbox.path(), request.name,
                      option_text(request.options, "database")});
}

std::string not_comparable(const Fact& found, const Fact* expected, const SourceOptions& options) {
    const RestoreOptions chosen = restore_options(options);
    if (!chosen.query.empty()) return "a query chose what was restored";
    if (is_renamed(found.item, chosen)) return "it was restored under another name";
    if (chosen.present != Present::missing && chosen.present != Present::replace) return "";
    // What else is there stays, and is part of what such facts count.
    return expected == nullptr ? "it was there before" : "the collection holds more than was restored";
}

bool comes_along(std::string_view path, std::string_view top) {
    return path == std::string(top) + std::string(metadata_suffix) || is_within(path, oplog_folder);
}

}  // namespace

std::vector<ServedDatabase> served_databases(World& world, const SourceOptions& options) {
    const CaptureOptions chosen = capture_options("", options);
    Client client(world, chosen.endpoint, Code::source_failed);
    std::vector<ServedDatabase> out;
    for (const std::string& name : list_databases(client)) {
        if (is_internal_database(name)) continue;
        const bool is_answered_for = chosen.databases.empty() || is_among(chosen.databases, name) ||
                                     is_among(chosen.exclude, encode_database(name));
        out.push_back({client.server(), name, is_answered_for});
    }
    return out;
}

}  // namespace holdfast::mongodb

namespace holdfast {

const SourceType mongodb_source_type{
    .kind = "mongodb",
    .scheme = "mongodb",
    .help = "MongoDB databases, as raw BSON at one instant, and the oplog",
    .options = mongodb::options_table,
    .make = mongodb::make,
    .rebuild = mongodb::rebuild,
    .other_scheme = "mongodb+srv",
    .restore_options = mongodb::restore_table,
    .measure = mongodb::measure,
    .query = mongodb::query_value,
    .comes_along = mongodb::comes_along,
    .server = mongodb::start_server,
    .swap = mongodb::swap,
    .not_comparable = mongodb::not_comparable,
    .dump_format = mongodb::dump_format,
    .import_options = mongodb::import_table,
    .load_dump = mongodb::import_dump,
    .live_place = mongodb::live_place,
    .diff_rows = mongodb::diff_documents,
    .is_own_place = mongodb::is_own_place,
    .export_formats = mongodb::export_formats,
    .export_folder_formats = mongodb::export_folder_formats,
    .export_as = mongodb::export_as,
    .has_journal = true,
    .history = mongodb::history,
};

}  // namespace holdfast
