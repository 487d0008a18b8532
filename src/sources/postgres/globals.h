// sources/postgres/globals.h: roles, memberships and tablespaces: what a server has beside its databases.
//
// Errors   source_failed from read_globals(); what cannot be made at a target is a finding
// Threads  no shared state
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/postgres/connection.h"
#include "clients/postgres/tools.h"
#include "source/source.h"

namespace holdfast::postgres {

// As pg_dumpall prints them, with the hashes of passwords when this role may read them.
std::string read_globals(World& world, Connection& connection, const Tools& tools);

// Statements without their semicolons; what stands in quotes or comments ends none.
std::vector<std::string> split_statements(std::string_view sql);

// Makes the roles that the target does not have, with their settings and memberships; changes and drops none.
std::vector<Finding> create_missing_roles(Connection& target, std::string_view globals);

}  // namespace holdfast::postgres
