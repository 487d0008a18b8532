// sources/redis/options.h: what is to be captured, and how.
#pragma once

#include <optional>
#include <string>

#include "clients/redis/endpoint.h"
#include "source/option_values.h"

namespace holdfast::redis {

struct CaptureOptions {
    std::string source;  // its name
    Endpoint endpoint;
    bool prefer_replica = false;
};

// What becomes of keys whose time has come since the capture.
enum class Expired : std::uint8_t { drop, keep, shift };

struct RestoreOptions {
    Present present = Present::fail;
    Expired expired = Expired::drop;
    std::string beside;
};
RestoreOptions restore_options(const SourceOptions& options);  // throws usage

// Of the snapshot, as its facts say; the newest that is known without them.
int rdb_version_in(const std::optional<Facts>& facts);

}  // namespace holdfast::redis
