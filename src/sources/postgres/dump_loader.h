// sources/postgres/dump_loader.h: sends a dump, as statements, through psql into a server of a sandbox.
//
// Shape    pg_restore (for archives) → roles that the statements need are made → psql; both programs in the sandbox
// Errors   source_failed with what psql or pg_restore said first; no_space; cancelled
// Threads  one
#pragma once

#include <functional>
#include <string>

#include "clients/postgres/connection.h"
#include "sandbox/sandbox.h"
#include "sources/postgres/dump_file.h"

namespace holdfast::postgres {

struct LoadPlan {
    Sandbox& sandbox;
    DumpFile dump;                // not compressed, when it is an archive
    std::string programs;         // folder of psql and pg_restore
    std::string database;         // that psql begins in
    bool makes_database = false;  // the dump does, by itself
    std::string superuser;
    std::function<void(std::uint64_t)> on_bytes;
};

// `beside`: a session of a superuser in another database of the server. Says what was done besides: "role x was made".
std::vector<std::string> load(const LoadPlan& plan, Connection& beside);

// What `pg_restore --list` prints.
std::string list_archive(Sandbox& sandbox, const DumpFile& dump, const std::string& programs);

}  // namespace holdfast::postgres
