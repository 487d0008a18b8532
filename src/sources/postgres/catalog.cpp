#include "sources/postgres/catalog.h"

#include <charconv>
#include <map>

#include "source/untold_facts.h"
#include "sources/postgres/names.h"

namespace holdfast::postgres {

namespace {

std::uint64_t number(std::string_view text) {
    std::uint64_t out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

// A connection limit of -2 marks what is half dropped.
std::vector<std::string> names_of_databases(Connection& connection, std::string_view compared) {
    const Rows rows = connection.query(fmt::format(
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit {} -2 "
        "ORDER BY datname COLLATE \"C\"",
        compared));
    std::vector<std::string> out;
    for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows.text(i, 0));
    return out;
}

}  // namespace

void switch_off_timeouts(Connection& connection) {
    std::string sql = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;";
    if (connection.server_major() >= 14) sql += "SET idle_session_timeout = 0;";
    if (connection.server_major() >= 17) sql += "SET transaction_timeout = 0;";
    connection.run(sql);
}

void prepare_session(Connection& connection, const std::string& encoding, const std::string& lock_timeout) {
    switch_off_timeouts(connection);
    connection.run(fmt::format(
        "SET search_path = ''; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC';"
        "SET extra_float_digits = 3; SET bytea_output = 'hex'; SET xmloption = 'content'; SET row_security = off;"
        "SET synchronize_seqscans = off; SET lock_timeout = {}; SELECT pg_catalog.set_config('client_encoding', {}, "
        "false)",
        quote_literal(lock_timeout),
        encoding.empty() ? "pg_catalog.current_setting('server_encoding')" : quote_literal(encoding)));
}

Endpoint endpoint_for_lists(const Endpoint& endpoint) {
    return endpoint.database().empty() ? endpoint.with_database("postgres") : endpoint;
}

std::vector<std::string> databases_of(Connection& connection) { return names_of_databases(connection, "<>"); }

std::vector<std::string> half_dropped_databases_of(Connection& connection) {
    return names_of_databases(connection, "=");
}

std::vector<Table> tables_of(Connection& connection) {
    const bool has_generated = connection.server_version() >= 120000;
    const Rows rows = connection.query(fmt::format(
        "SELECT c.oid, n.nspname, c.relname, c.relpersistence = 'u', "
        " (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) "
        "  FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped {0}), "
        " EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT "
        "a.attisdropped)"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> "
        "'information_schema' "
        " AND NOT (c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) "
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass "
        "  AND d.objid = c.oid AND d.deptype = 'e') "
        "ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"",
        has_generated ? "AND a.attgenerated = ''" : ""));
    std::vector<Table> out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        // All of its columns are generated: there is nothing that could be written back.
        if (rows.is_null(i, 4) && rows.is_true(i, 5)) continue;
        out.push_back({.oid = rows.text(i, 0),
                       .schema = rows.text(i, 1),
                       .name = rows.text(i, 2),
                       .columns = rows.text(i, 4),
                       .is_unlogged = rows.is_true(i, 3)});
    }
    return out;
}

std::string oids_of(const std::vector<Table>& tables) {
    std::string list;
    for (const Table& table : tables) list += (list.empty() ? "" : ",") + table.oid;
    return "'{" + list + "}'::pg_catalog.oid[]";
}

void read_sizes(Connection& connection, std::vector<Table>& tables) {
    std::map<std::string, Table*, std::less<>> by_oid;
    for (Table& table : tables) by_oid.emplace(table.oid, &table);
    if (by_oid.empty()) return;
    const Rows rows = connection.query("SELECT o, pg_catalog.pg_table_size(o::oid) FROM pg_catalog.unnest(" +
                                       oids_of(tables) + ") o");
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (const auto at = by_oid.find(rows.at(i, 0)); at != by_oid.end()) at->second->bytes = number(rows.at(i, 1));
}

void add_partition_facts(Connection& connection, const std::string& item, Facts& facts) {
    if (connection.server_version() < 100000) return;
    const Rows rows = connection.query(
        "WITH RECURSIVE above AS (SELECT c.oid AS leaf, i.inhparent, 1 AS level FROM pg_catalog.pg_class c JOIN "
        "pg_catalog.pg_inherits i ON i.inhrelid = c.oid WHERE c.relispartition AND c.relkind = 'r' "
        "UNION ALL SELECT above.leaf, i.inhparent, above.level + 1 FROM above JOIN pg_catalog.pg_inherits i ON "
        "i.inhrelid = above.inhparent) "
        "SELECT n.nspname, c.relname, pn.nspname, pc.relname FROM above "
        "JOIN pg_catalog.pg_class c ON c.oid = above.leaf JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_catalog.pg_class pc ON pc.oid = above.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = "
        "pc.relnamespace ORDER BY above.leaf, above.level");
    std::map<std::string, std::string> found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::string& above = found[item + "/" + encode_part(rows.at(i, 0)) + "/" + encode_part(rows.at(i, 1))];
        above +=
            (above.empty() ? "" : "//") + item + "/" + encode_part(rows.at(i, 2)) + "/" + encode_part(rows.at(i, 3));
    }
    for (auto& [leaf, above] : found) facts.list.push_back({leaf, "about partition of", std::move(above)});
}

void add_untold_facts(Connection& connection, const std::string& item, Facts& facts) {
    const Rows rows = connection.query(
        "SELECT n.nspname, c.relname, CASE c.relkind WHEN 'm' THEN 'a materialized view: it is made anew' "
        "  WHEN 'f' THEN 'a foreign table: its rows are elsewhere' ELSE 'unlogged: a standby has none of them' END "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND (c.relkind = 'm' AND c.relispopulated OR "
        " c.relkind = 'f' OR c.relkind = 'r' AND c.relpersistence = 'u' AND pg_catalog.pg_is_in_recovery()) "
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass "
        "  AND d.objid = c.oid AND d.deptype = 'e') ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"");
    for (std::size_t i = 0; i < rows.size(); ++i)
        facts.list.push_back(untold(item + "/" + encode_part(rows.at(i, 0)) + "/" + encode_part(rows.at(i, 1)), "rows",
                                    rows.text(i, 2)));
    const std::string of_extensions =
        connection
            .value(
                "SELECT pg_catalog.string_agg(n.nspname || '.' || c.relname, ', ' ORDER BY 1) FROM "
                "pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid "
                "JOIN pg_catalog.pg_class c ON c.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = "
                "c.relnamespace WHERE d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::regclass AND "
                "d.refclassid = 'pg_catalog.pg_extension'::regclass AND c.relkind IN ('r', 'm') "
                " AND c.oid <> ALL (coalesce(e.extconfig, '{}'))")
            .value_or("");
    if (!of_extensions.empty())
        facts.list.push_back(
            untold(item, "rows of extensions' own tables", of_extensions + ": their extensions make them"));
}

std::string system_identifier(Connection& connection) {
    // A failure would end a transaction that is under way, so the right is asked for first: alone, for a statement that
    // names the function fails without it, whatever its CASE says.
    const bool may_ask =
        connection.value("SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')") ==
        "t";
    return may_ask ? connection.value("SELECT system_identifier::text FROM pg_catalog.pg_control_system()").value_or("")
                   : "";
}

void add_database_facts(Connection& connection, const std::string& item, Facts& facts) {
    const bool has_provider = connection.server_version() >= 150000;
    const Rows rows = connection.query(fmt::format(
        "SELECT pg_catalog.pg_encoding_to_char(encoding), datcollate || ' ' || datctype {}, "
        " pg_catalog.pg_database_size(oid), (SELECT pg_catalog.string_agg(extname, ', ' ORDER BY extname COLLATE "
        "\"C\") FROM "
        "pg_catalog.pg_extension), (SELECT pg_catalog.string_agg(extname || ' ' || extversion, ', ' ORDER BY extname "
        "COLLATE \"C\") FROM pg_catalog.pg_extension) FROM pg_catalog.pg_database WHERE datname = "
        "pg_catalog.current_database()",
        has_provider ? "|| ' ' || datlocprovider::text" : ""));
    facts.list.push_back({item, "encoding", rows.text(0, 0)});
    facts.list.push_back({item, "collation", rows.text(0, 1)});
    facts.list.push_back({item, "about size", rows.text(0, 2)});
    facts.list.push_back({item, "extensions", rows.text(0, 3)});
    facts.list.push_back({item, "about extension versions", rows.text(0, 4)});
}

}  // namespace holdfast::postgres
