// sources/redis/rdb_value.h: one value of an RDB file: read to its end, and hashed by what it means.
//
// Shape    ValueReader{input}.read(type): all types of RDB versions 1 to 11; modules' values are opaque
// Errors   corrupt; newer_format for a type that a newer server wrote
// Threads  one
// Limits   a string of any length is streamed; a listpack, ziplist or intset is in memory as a whole
// Source   redis: src/rdb.c; doc/format/redis.md
#pragma once

#include <optional>

#include "sources/redis/digest.h"
#include "sources/redis/rdb_input.h"

namespace holdfast::redis {

enum class ValueClass : std::uint8_t { string = 1, list, set, zset, hash, stream, module };
constexpr std::size_t value_classes = 8;  // numbers above are below it
std::string_view name_of(ValueClass value);

// Numbers of the file format.
constexpr std::uint8_t rdb_type_string = 0;
constexpr std::uint8_t rdb_type_module2 = 7;

struct Value {
    ValueClass kind{};
    std::uint64_t elements = 0;
    Sum128 digest;
    // Of a value that is one compressed string of up to unpacked_bytes_max: that string, until the next is read.
    std::optional<ByteView> unpacked = {};
};
constexpr std::size_t unpacked_bytes_max = 64 * 1024;

struct RdbLength {
    std::uint64_t value = 0;
    bool is_encoding = false;  // value is how a string is encoded
};
RdbLength read_length(RdbInput& in);
std::uint64_t read_count(RdbInput& in);  // a length that is no encoding
Bytes read_string(RdbInput& in);
void read_string(RdbInput& in, Bytes& out);
// Of a string, in pieces; `begin` gets its length before them.
void read_string(RdbInput& in, const std::function<void(std::uint64_t)>& begin, const RdbInput::Piece& piece);
void skip_module_value(RdbInput& in);  // after its id
// What a string of the file means; false when it is not one whole string, or has more than `bytes_max`.
bool decode_string(ByteView raw, std::size_t bytes_max, Bytes& out);

Value read_value(RdbInput& in, std::uint8_t type);
bool is_known_type(std::uint8_t type);
// Of a key as a whole; the same for equal keys with equal values in whatever encoding.
Sum128 digest_of_key(ByteView key, const Value& value, std::int64_t expiry_ms);

}  // namespace holdfast::redis
