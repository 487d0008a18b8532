// sources/redis/rdb.h: RDB files, read and written.
//
// Shape    read_rdb(input, sink): one key after another; RdbWriter: header, keys as they were, end with checksum
// Errors   corrupt (checksum, end in the middle, nonsense); newer_format for versions and types of newer servers
// Threads  one
// Limits   versions 1 to rdb_version_max; memory as sources/redis/rdb_value.h says
// Source   redis: src/rdb.c; doc/format/redis.md
#pragma once

#include <optional>
#include <string>

#include "sources/redis/rdb_value.h"

namespace holdfast::redis {

constexpr int rdb_version_max = 11;  // Redis 7.2
constexpr std::int64_t no_expiry = 0;

struct RdbKey {
    std::uint64_t database = 0;
    std::string name;
    std::int64_t expiry_ms = no_expiry;  // since 1970 UTC
    std::uint8_t type = 0;
};

class RdbSink {
public:
    virtual ~RdbSink() = default;
    virtual void version(int) {}
    virtual void aux(const std::string& /*name*/, const std::string& /*value*/) {}
    virtual void function(ByteView /*raw*/) {}    // a string as it is encoded in the file: the library's code
    virtual void module_aux(ByteView /*raw*/) {}  // what follows the opcode
    virtual void begin_key(const RdbKey&) {}
    virtual void value(ByteView /*raw*/) {}  // in pieces; what a DUMP payload has between type and footer
    virtual void end_key(const RdbKey&, const Value&) {}
};

struct RdbSummary {
    int version = 0;
    bool has_checksum = false;
};
// Up to and with the checksum.
RdbSummary read_rdb(RdbInput& in, RdbSink& sink);

class RdbWriter {
public:
    explicit RdbWriter(std::function<void(ByteView)> write) : write_(std::move(write)) {}
    void begin(int version);
    void aux(std::string_view name, std::string_view value);
    void function(ByteView raw);
    void module_aux(ByteView raw);
    void begin_key(const RdbKey& key);  // selects its database
    void value(ByteView raw) { put(raw); }
    void end();

private:
    void put(ByteView bytes);
    void length(std::uint64_t value);
    void string(std::string_view text);
    void flush_small();

    const std::function<void(ByteView)> write_;
    Bytes small_;
    std::uint64_t crc_ = 0;
    int version_ = 0;
    std::optional<std::uint64_t> database_;
};

// An RDB length as bytes.
void append_length(Bytes& out, std::uint64_t value);
// What RESTORE wants after the value: version and checksum.
std::array<std::uint8_t, 10> dump_footer(std::uint64_t crc_of_type_and_value, int version);

}  // namespace holdfast::redis
