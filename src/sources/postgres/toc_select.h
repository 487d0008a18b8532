// sources/postgres/toc_select.h: which entries of an archive a restore takes.
//
// Shape    a part of a database is the tables that are wanted, what belongs to them (indexes, constraints, sequences,
//          triggers, grants) and what they need (types, functions)
// Threads  no shared state
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "sources/postgres/toc.h"

namespace holdfast::postgres {

using Wants = std::function<bool(const std::string& schema, const std::string& table)>;

struct Selected {
    std::vector<bool> taken;            // by the number of the entry
    std::vector<std::string> left_out;  // foreign keys and such that lead to what is not taken
};

Selected select_all(const Toc& toc);
// `wants_schema`: everything in these schemas.
Selected select_part(const Toc& toc, const Wants& wants_table,
                     const std::function<bool(const std::string&)>& wants_schema);
// Takes out entries and what belongs to them.
void leave_out(const Toc& toc, Selected& selected, const std::function<bool(const TocEntry&)>& is_present);

// Of those selected the indexes and keys that need this table and nothing else that comes after the definitions of tables: they
// can be built as soon as it has its rows.
Selected indexes_of(const Toc& toc, const Selected& selected, const std::string& schema, const std::string& table);

// The oids of those selected.
std::vector<std::string> large_objects_of(const Toc& toc, const Selected& selected);

std::string list_file(const Toc& toc, const Selected& selected);  // for pg_restore --use-list

}  // namespace holdfast::postgres
