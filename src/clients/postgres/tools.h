// clients/postgres/tools.h: PostgreSQL's own programs (pg_dump, pg_restore …) as children.
//
// Errors   the code that the caller chose, with the package to install when a program is missing, and with what the
//          program said when it fails
// Threads  a Tools is a value; a Tool has one owner
// Limits   a Tool that goes out of scope is killed
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/process.h"
#include "base/world.h"
#include "clients/postgres/endpoint.h"

namespace holdfast::postgres {

// The folder of programs that fit a server: of its own major, else of the nearest newer one. What is newer may say
// what an older server does not understand.
struct Tools {
    std::string folder;
    int major = 0;
    std::string path(const std::string& program) const { return folder + "/" + program; }
    // Its pg_restore begins with `SET transaction_timeout`, which this server answers with an error.
    bool sets_what_is_unknown_to(int server_major) const { return major >= 17 && server_major < 17; }
};
// `server_major`: 0: the newest that there is. `bin_dir`: where to look; empty: where Debian and others put them.
Tools find_tools(int server_major, const std::string& bin_dir, Code failure);

// A program connected to a server; arguments are after the program's name, `--dbname` is added.
class Tool {
public:
    Tool(World& world, const Endpoint& endpoint, std::vector<std::string> argv, Code failure);
    // Without a server: it only reads files.
    Tool(World& world, const std::vector<std::string>& argv, Code failure);
    std::size_t read(MutableByteView into);  // what it prints; 0 at the end
    // Until it ends; throws unless it ends with 0. What it warned of is logged.
    void finish();
    // As finish(), but gives what it said when it failed.
    std::string finish_or_complaint();
    void drain();

private:
    World& world_;
    const std::string name_;
    const Code failure_;
    Child child_;
};

Bytes run_tool(World& world, const Endpoint& endpoint, std::vector<std::string> argv, Code failure);

}  // namespace holdfast::postgres
