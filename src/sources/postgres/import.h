// sources/postgres/import.h: dumps that pg_dump and pg_dumpall made, as a source.
//
// Shape    plain SQL, custom, directory and tar, the files also in gzip; the dump is loaded into a throwaway server of the
//          version that it is of (or a newer one), and that server is captured
// Errors   source_failed: no such server, a statement that fails; corrupt for a damaged gzip stream; no_space
// Threads  one
// Limits   the loaded databases lie in the sandbox meanwhile
// I1  programs that act on what the dump says run in the sandbox; this process only passes bytes on
#pragma once

#include <array>
#include <memory>
#include <string>

#include "source/source.h"

namespace holdfast::postgres {

// "sql", "sql.gz", "custom", "custom.gz", "tar", "tar.gz", "directory"; empty: no dump of PostgreSQL.
std::string dump_format(const std::string& path);

inline constexpr std::array import_table{
    SourceOption{"database", SourceOption::Type::reference,
                 "what the database of a dump is called that does not make it itself"},
    SourceOption{"bin_dir", SourceOption::Type::text, "the folder of initdb, postgres, psql and pg_restore"},
};
std::unique_ptr<Source> load_dump(const ImportRequest& request);

}  // namespace holdfast::postgres
