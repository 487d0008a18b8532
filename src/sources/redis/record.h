// sources/redis/record.h: what items hold: key records, and the parser that takes them apart again.
//
// Shape    doc/format/redis.md. RecordReader: feed(bytes in any pieces) calls its sink; end() at the item's end
// Errors   corrupt
// Threads  one
// Limits   a key and its header are in memory; values go through in pieces
#pragma once

#include <bit>
#include <cstring>
#include <string>

#include "sources/redis/rdb.h"

namespace holdfast::redis {

enum class RecordKind : std::uint8_t { key = 1, gone = 2, function = 3, module_aux = 4, version = 5 };

// Of a key's name; who chooses names cannot make two alike.
struct KeyTag;
using KeyId = Id<KeyTag, 16>;
KeyId key_id(ByteView name);
// The order of ids, which memcmp() would be called for millions of times.
inline bool is_before(const KeyId& a, const KeyId& b) {
    const auto half = [](const KeyId& id, std::size_t at) {
        std::uint64_t out = 0;
        std::memcpy(&out, id.bytes.data() + at, 8);
        return std::endian::native == std::endian::little ? __builtin_bswap64(out) : out;
    };
    const std::uint64_t first = half(a, 0), second = half(b, 0);
    return first != second ? first < second : half(a, 8) < half(b, 8);
}

struct RecordHead {
    std::string name;
    std::int64_t expiry_ms = no_expiry;
    std::uint8_t type = 0;
    std::uint64_t value_bytes = 0;
};
void append_key_head(Bytes& out, const RdbKey& key, std::uint64_t value_bytes);  // the value's bytes follow
void append_gone(Bytes& out, const KeyId& id);
void append_blob(Bytes& out, RecordKind kind, ByteView raw);  // function, module_aux
void append_version(Bytes& out, int version);

class RecordSink {
public:
    virtual ~RecordSink() = default;
    virtual void key(const RecordHead&) {}
    virtual void value(ByteView) {}  // in pieces
    virtual void end_key(const RecordHead&) {}
    virtual void gone(const KeyId&) {}
    virtual void function(ByteView) {}
    virtual void module_aux(ByteView) {}
    virtual void version(int) {}
};

class RecordReader {
public:
    explicit RecordReader(RecordSink& sink) : sink_(sink) {}
    void feed(ByteView bytes);
    void end() const;  // throws corrupt when a record is not whole

private:
    std::size_t take_record(ByteView bytes);

    RecordSink& sink_;
    Bytes held_;  // the beginning of a record
    RecordHead head_;
    std::uint64_t value_left_ = 0;
    bool in_value_ = false;
};

}  // namespace holdfast::redis
