#include "sources/postgres/postgres_source.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/item.h"
#include "base/text.h"
#include "source/option_values.h"
#include "sources/postgres/capture.h"
#include "sources/postgres/catalog.h"
#include "sources/postgres/export.h"
#include "sources/postgres/import.h"
#include "sources/postgres/measure.h"
#include "sources/postgres/names.h"
#include "sources/postgres/own_place.h"
#include "sources/postgres/rebuild.h"
#include "sources/postgres/restore_options.h"
#include "sources/postgres/row_diff.h"
#include "sources/postgres/server.h"
#include "sources/postgres/swap.h"

namespace holdfast::postgres {

namespace {

using Type = SourceOption::Type;

constexpr std::array options_table{
    SourceOption{"url", Type::reference, "postgres://USER@HOST:PORT/DATABASE; without a database all of them"},
    SourceOption{"host", Type::reference, "the server's name, address or folder of its socket"},
    SourceOption{"port", Type::reference, "its port"},
    SourceOption{"user", Type::reference, "who connects"},
    SourceOption{"password", Type::secret, "its password, as env:NAME, file:PATH or exec:COMMAND"},
    SourceOption{"database", Type::reference, "one database; without it and `databases` all of them"},
    SourceOption{"databases", Type::list, "several databases, by name or glob"},
    SourceOption{"service", Type::reference, "a service of pg_service.conf"},
    SourceOption{"sslmode", Type::reference, "disable, allow, prefer, require, verify-ca or verify-full"},
    SourceOption{"exclude", Type::list, "leave out what matches: rows of DATABASE/SCHEMA/TABLE, or a DATABASE"},
    SourceOption{"bin_dir", Type::text, "the folder of pg_dump and pg_restore"},
    SourceOption{"lock_timeout", Type::duration, "how long to wait for a table that is locked, such as 30s"},
};

constexpr std::array restore_table{
    SourceOption{"existing", Type::text, "what is there already: fail (default), drop, missing or replace"},
    SourceOption{"beside", Type::text, "call the restored database so, and leave its namesake alone"},
    SourceOption{"owner", Type::list, "OLD:NEW: give what this role owns, and was granted, to another one"},
    SourceOption{"schema", Type::list, "OLD:NEW: restore this schema under another name"},
    SourceOption{"end_sessions", Type::flag, "end the sessions that keep a database from being swapped"},
    SourceOption{"no_owner", Type::flag, "leave owners, grants and roles out"},
    SourceOption{"into_source", Type::flag, "the very database that was captured may be changed"},
    SourceOption{"bin_dir", Type::text, "the folder of pg_dump and pg_restore"},
};

class PostgresSource final : public Source {
public:
    PostgresSource(std::string name, CaptureOptions options) : name_(std::move(name)), options_(std::move(options)) {}
    std::string name() const override { return name_; }
    std::string kind() const override { return "postgres"; }
    std::vector<std::string> describe() const override {
        std::vector<std::string> out{options_.endpoint.shown()};
        out.insert(out.end(), options_.databases.begin(), options_.databases.end());
        return out;
    }
    std::unique_ptr<Capture> begin(const CaptureRequest& request) override {
        return begin_capture(request.world, options_);
    }

private:
    const std::string name_;
    const CaptureOptions options_;
};

Endpoint endpoint_of(const std::string& name, const SourceOptions& options) {
    const std::string argument = option_text(options, "argument");
    const std::string url = argument.empty() ? option_text(options, "url") : argument;
    if (url.empty() && option_text(options, "host").empty() && option_text(options, "service").empty() &&
        option_text(options, "database").empty() && !options.contains("databases"))
        throw Error{Code::config, "source {} names no server", name}.hint(
            "Give `url: \"postgres://USER@HOST/DATABASE\"`, or `host`, `user` and `database`.");
    Endpoint out = url.empty() || is_unresolved(url) ? Endpoint() : Endpoint::parse(url);
    for (const std::string keyword : {"host", "port", "user", "password", "service", "sslmode"})
        if (const std::string value = option_text(options, keyword); !value.empty()) out.set(keyword, value);
    if (const std::string database = option_text(options, "database"); !database.empty()) out.set("dbname", database);
    return out;
}

CaptureOptions capture_options(const std::string& name, const SourceOptions& options) {
    CaptureOptions out;
    out.endpoint = endpoint_of(name, options);
    out.databases = option_list(options, "databases");
    if (out.databases.empty() && !out.endpoint.database().empty()) out.databases = {out.endpoint.database()};
    out.exclude = option_list(options, "exclude");
    out.bin_dir = option_text(options, "bin_dir");
    if (const std::string timeout = option_text(options, "lock_timeout"); !timeout.empty()) {
        const auto duration = parse_duration(timeout);
        if (!duration || *duration < 1'000'000)
            throw Error{Code::config, "source {}: lock_timeout is no duration: {}", name, printable(timeout)}.hint(
                "Write a number with a unit, such as 30s or 5m.");
        out.lock_timeout = fmt::format("{}ms", *duration / 1'000'000);
    }
    return out;
}

std::unique_ptr<Source> make(const std::string& name, const SourceOptions& options) {
    return std::make_unique<PostgresSource>(name, capture_options(name, options));
}

bool is_of_schema(const std::string& item, const Renames& schemas) {
    const std::vector<std::string> parts = parts_of(item);
    return parts.size() > 1 && std::ranges::find(schemas, parts[1], &Renames::value_type::first) != schemas.end();
}

std::string not_comparable(const Fact& found, const Fact* expected, const SourceOptions& options) {
    const RestoreOptions chosen = restore_options(options);
    const bool is_of_database = found.item.find('/') == std::string::npos;
    if (found.name == "privileges" && (chosen.no_owner || !chosen.owners.empty() || !chosen.schemas.empty()))
        return "owners and grants were left out or mapped";
    if (!chosen.schemas.empty() && (is_of_database || expected == nullptr || is_of_schema(found.item, chosen.schemas)))
        return "schemas were mapped";
    if (chosen.present != Present::missing && chosen.present != Present::replace) return "";
    // What else is there stays, and is part of what such facts count.
    if (expected == nullptr) return "it was there before";
    return is_of_database ? "the database holds more than was restored" : "";
}

std::string live_place(const SourceOptions& options) { return endpoint_of("", options).conninfo(); }

std::vector<std::string> stands_for(const Facts& facts, const std::string& pattern) {
    std::vector<std::string> out;
    for (const Fact& fact : facts.list) {
        if (fact.name != "about partition of") continue;
        for (std::size_t begin = 0; begin < fact.value.size();) {
            const std::size_t end = std::min(fact.value.find("//", begin), fact.value.size());
            const std::string above = fact.value.substr(begin, end - begin);
            begin = end + 2;
            if (!is_within(above, pattern) && !glob_match(pattern, above)) continue;
            out.push_back(fact.item);
            break;
        }
    }
    return out;
}

bool comes_along(std::string_view path, std::string_view top) {
    return path == globals_item || path == std::string(top) + "/" + std::string(archive_name);
}

}  // namespace

std::vector<ServedDatabase> served_databases(World& world, const SourceOptions& options) {
    const CaptureOptions chosen = capture_options("", options);
    Connection connection(world, endpoint_for_lists(chosen.endpoint), Code::source_failed);
    const std::string system = system_identifier(connection);
    const std::string server = system.empty() ? chosen.endpoint.with_database("").shown() : system;
    std::vector<ServedDatabase> out;
    for (const std::string& name : databases_of(connection)) {
        const bool is_answered_for = chosen.databases.empty() || name == "postgres" ||
                                     is_among(chosen.databases, name) || is_among(chosen.exclude, encode_part(name));
        out.push_back({server, name, is_answered_for});
    }
    return out;
}

}  // namespace holdfast::postgres

namespace holdfast {

const SourceType postgres_source_type{
    .kind = "postgres",
    .scheme = "postgres",
    .help = "PostgreSQL databases, by pg_dump and COPY in one snapshot",
    .options = postgres::options_table,
    .make = postgres::make,
    .rebuild = postgres::rebuild,
    .other_scheme = "postgresql",
    .restore_options = postgres::restore_table,
    .measure = postgres::measure,
    .query = postgres::query_value,
    .comes_along = postgres::comes_along,
    .server = postgres::start_server,
    .swap = postgres::swap,
    .not_comparable = postgres::not_comparable,
    .dump_format = postgres::dump_format,
    .import_options = postgres::import_table,
    .load_dump = postgres::load_dump,
    .live_place = postgres::live_place,
    .diff_rows = postgres::diff_rows,
    .stands_for = postgres::stands_for,
    .is_own_place = postgres::is_own_place,
    .export_formats = postgres::export_formats,
    .export_folder_formats = postgres::export_folder_formats,
    .export_as = postgres::export_as,
};

}  // namespace holdfast
