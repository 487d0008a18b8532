// sources/redis/replication.h: a server's data and its stream of changes, as a replica gets them.
//
// Shape    Replication r(world, endpoint, {.from = …}); either r.continues(), or r.read_rdb() to its end first; then
//          r.read_stream() and r.acknowledge() each second
// Errors   source_failed, naming the command that the account may not use; unreachable never
// Threads  one at a time
// Limits   the server drops who reads too slowly (client-output-buffer-limit replica), but not for `rdb_only`
// Source   redis: src/replication.c; ../shared/reference/databases.md 4d
#pragma once

#include <optional>
#include <string>

#include "base/position.h"
#include "clients/redis/connection.h"

namespace holdfast::redis {

struct SyncRequest {
    bool rdb_only = false;
    std::optional<Position> from;
};

class Replication {
public:
    Replication(World& world, const Endpoint& endpoint, const SyncRequest& request);

    bool continues() const { return continues_; }
    // Where the stream goes on, or what the RDB stands for; the line is the server's replication id.
    const Position& position() const { return position_; }
    Nanoseconds answered() const { return answered_; }  // wall time of the server's answer
    const std::string& why_not() const { return why_not_; }

    std::size_t read_rdb(MutableByteView into);  // 0 at the end
    std::size_t read_stream(MutableByteView into, Nanoseconds wait);
    void acknowledge(std::uint64_t offset);

private:
    void introduce(bool rdb_only);
    void ask(const SyncRequest& request);
    void begin_payload();
    std::size_t read_marked(MutableByteView into);

    World& world_;
    Connection connection_;
    bool continues_ = false;
    Position position_;
    Nanoseconds answered_ = 0;
    std::string why_not_;
    bool has_begun_ = false;
    std::optional<std::uint64_t> left_;  // of a payload whose length is known
    std::string mark_;                   // or what ends it
    Bytes held_;                         // the last bytes that came, which may be the mark
    bool is_over_ = false;
};

}  // namespace holdfast::redis
