// sources/redis/waiting_keys.h: keys that are not written before all of them have been looked at.
//
// Shape    begin_key, value in pieces, …; then for_each_database() gives all of them on, in the same order
// Errors   of the spool
// Threads  one
// Limits   in a sealed spool, piece_bytes in memory
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sources/redis/record.h"
#include "sources/redis/spool.h"

namespace holdfast::redis {

class WaitingKeys {
public:
    explicit WaitingKeys(World& world) : world_(&world), spool_(std::make_unique<Spool>(world)) {}
    void begin_key(const RdbKey& key, std::uint64_t value_bytes);
    void value(ByteView raw);
    // `sink_for` names who gets the keys of a database, which may come more than once.
    void for_each_database(const std::function<RecordSink&(std::uint64_t database)>& sink_for);

private:
    struct Run {
        std::uint64_t database = 0;
        std::uint64_t begin = 0;  // in the spool
    };
    void flush();

    World* world_;
    std::unique_ptr<Spool> spool_;
    Bytes pending_;
    std::vector<Run> runs_;
};

}  // namespace holdfast::redis
