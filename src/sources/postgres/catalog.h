// sources/postgres/catalog.h: what a database holds, and the settings under which its rows are read.
//
// Errors   those of the connection
// Threads  as the connection
#pragma once

#include <string>
#include <vector>

#include "clients/postgres/connection.h"
#include "source/facts.h"

namespace holdfast::postgres {

struct Table {
    std::string oid;
    std::string schema;
    std::string name;
    std::string columns;  // "id, \"odd name\"": what a COPY holds, in order; empty: it has none
    std::uint64_t bytes = 0;
    bool is_unlogged = false;
    std::string qualified() const { return quote_name(schema) + "." + quote_name(name); }
    std::string copied() const { return qualified() + (columns.empty() ? "" : " (" + columns + ")"); }
};

// No session of ours is ended because it waits for another one, or is long at work.
void switch_off_timeouts(Connection& connection);
// Settings under which equal rows give equal lines. `encoding`: empty: the database's own.
void prepare_session(Connection& connection, const std::string& encoding, const std::string& lock_timeout);

// Where lists are asked for when no database is named.
Endpoint endpoint_for_lists(const Endpoint& endpoint);
// Databases that can be connected to, templates left out.
std::vector<std::string> databases_of(Connection& connection);
// What a DROP DATABASE left that did not come to its end: they can only be dropped.
std::vector<std::string> half_dropped_databases_of(Connection& connection);
// Tables whose rows are read by COPY: no foreign ones, none of extensions, of partitioned ones the leaves; by name.
std::vector<Table> tables_of(Connection& connection);
std::string oids_of(const std::vector<Table>& tables);  // as an array in SQL
void read_sizes(Connection& connection, std::vector<Table>& tables);

// Of each leaf of a partitioned table a fact "about partition of": item paths of all above it, "//" between them.
void add_partition_facts(Connection& connection, const std::string& item, Facts& facts);

// Of rows that no capture reads, why there is no fact of them.
void add_untold_facts(Connection& connection, const std::string& item, Facts& facts);

std::string system_identifier(Connection& connection);  // empty when this role may not ask

// encoding, collation, extensions of the connection's database, under this item.
void add_database_facts(Connection& connection, const std::string& item, Facts& facts);

}  // namespace holdfast::postgres
