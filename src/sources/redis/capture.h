// sources/redis/capture.h: the data of one server at one instant, as items of keys.
//
// Shape    begin_capture() asks the server by PSYNC; capture_of() takes RDB bytes from wherever they come, all of them
//          before it returns; capture_while_reading() takes them from a thread of its own when that helps
// Errors   source_failed, corrupt, newer_format; nothing is captured then
// Threads  as Capture says
// Source   doc/format/redis.md
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "clients/redis/connection.h"
#include "source/source.h"
#include "sources/redis/options.h"
#include "sources/redis/rdb_input.h"

namespace holdfast::redis {

// Which database was selected in the stream of changes at the capture's moment: what follows there need not say so.
constexpr std::string_view stream_database_fact = "about stream database";

struct RdbOrigin {
    std::string source;  // names what this machine remembers
    std::string place;
    std::map<std::uint64_t, std::uint64_t> bytes = {};  // about how much each database has; 0 is not known
    std::uint64_t bytes_each = 0;                       // at most, of a database that is not among them; 0: not known
    std::optional<Moment> moment = {};
    std::optional<std::uint64_t> only = {};            // one database
    std::vector<Fact> about = {};                      // what is known of the server itself
    std::map<std::string, std::string> settings = {};  // by item
    // Of `moment`; the RDB data says it when they are the server's own.
    std::optional<std::uint32_t> stream_database = {};
    std::int64_t written_since_s = 0;  // since 1970, by the server's clock: RDB data of before are not its; 0: any are
};

std::unique_ptr<Capture> capture_of(World& world, RdbOrigin origin, const RdbInput::Read& read);
std::unique_ptr<Capture> capture_while_reading(World& world, RdbOrigin origin, RdbInput::Read read);
std::unique_ptr<Capture> begin_capture(World& world, const CaptureOptions& options);

// About how much each of its databases has; nothing when the account may not ask.
std::map<std::uint64_t, std::uint64_t> ask_sizes(Connection& connection);

// Takes what a server tells of itself, as far as the account may ask, and warns of what endangers its data.
void describe_server(World& world, RdbOrigin& origin, Connection& connection, const CaptureOptions& options);

}  // namespace holdfast::redis
