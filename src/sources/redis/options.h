// sources/redis/options.h: what is to be captured, and how.
#pragma once

#include <optional>
#include <string>

#include "clients/redis/cluster.h"
#include "clients/redis/endpoint.h"
#include "source/option_values.h"

namespace holdfast::redis {

// How a server's data is had: as a replica gets it, from the RDB file that it writes, or from its append-only files.
enum class Method : std::uint8_t { psync, bgsave, aof };

struct CaptureOptions {
    std::string source;  // its name
    Endpoint endpoint;
    bool prefer_replica = false;
    bool is_cluster = false;  // the endpoint is one of many
    Slots slots = {};         // of one master of them, when they were listed
    Method method = Method::psync;
    std::string data_dir;        // the server's folder, as it is seen here; empty: what the server says
    std::string bin_dir;         // of redis-server
    bool with_settings = false;  // users and configuration, too
    // Of changes that are not stored yet; 0: half of what is free where they lie, at most 16 GiB.
    std::uint64_t spool_bytes_max = 0;
};

// What becomes of keys whose time has come since the capture.
enum class Expired : std::uint8_t { drop, keep, shift };

struct RestoreOptions {
    Present present = Present::fail;
    Expired expired = Expired::drop;
    std::string beside;
    std::optional<Nanoseconds> until;  // the journal follows, up to this instant
};
RestoreOptions restore_options(const SourceOptions& options);  // throws usage

// Of the snapshot, as its facts say; the newest that is known without them.
int rdb_version_in(const std::optional<Facts>& facts);

}  // namespace holdfast::redis
