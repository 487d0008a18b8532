#include "sources/redis/record.h"

#include <sodium.h>

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::uint8_t has_expiry = 1;
constexpr std::uint64_t head_bytes_max = 1ULL << 30;  // a key's name has at most 512 MiB

struct TooShort {};

// As ByteReader, but what is missing may still come.
class Cursor {
public:
    explicit Cursor(ByteView bytes) : bytes_(bytes) {}
    ByteView raw(std::uint64_t count) {
        if (count > head_bytes_max) throw Error{Code::corrupt, "a record of a Redis item makes no sense"};
        if (count > bytes_.size() - at_) throw TooShort{};
        const ByteView out = bytes_.subspan(at_, static_cast<std::size_t>(count));
        at_ += out.size();
        return out;
    }
    std::uint8_t u8() { return raw(1)[0]; }
    std::uint64_t number(std::size_t bytes) {
        const ByteView in = raw(bytes);
        std::uint64_t out = 0;
        for (std::size_t i = bytes; i-- > 0;) out = out << 8 | in[i];
        return out;
    }
    std::uint64_t varint() {
        std::uint64_t out = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t byte = u8();
            out |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) return out;
        }
        throw Error{Code::corrupt, "a number in a Redis item makes no sense"};
    }
    std::size_t position() const { return at_; }

private:
    ByteView bytes_;
    std::size_t at_ = 0;
};

}  // namespace

KeyId key_id(ByteView name) {
    KeyId out;
    crypto_generichash(out.bytes.data(), out.bytes.size(), name.data(), name.size(), nullptr, 0);
    return out;
}

void append_key_head(Bytes& out, const RdbKey& key, std::uint64_t value_bytes) {
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>(RecordKind::key));
    writer.string(key.name);
    writer.u8(key.expiry_ms == no_expiry ? 0 : has_expiry);
    if (key.expiry_ms != no_expiry) writer.u64(static_cast<std::uint64_t>(key.expiry_ms));
    writer.u8(key.type);
    writer.varint(value_bytes);
}

void append_gone(Bytes& out, const KeyId& id) {
    out.push_back(static_cast<std::uint8_t>(RecordKind::gone));
    append(out, id.view());
}

void append_blob(Bytes& out, RecordKind kind, ByteView raw) {
    out.push_back(static_cast<std::uint8_t>(kind));
    ByteWriter(out).string(raw);
}

void append_version(Bytes& out, int version) {
    out.push_back(static_cast<std::uint8_t>(RecordKind::version));
    ByteWriter(out).u16(static_cast<std::uint16_t>(version));
}

// How many bytes were taken; 0 when the record's head is not whole.
std::size_t RecordReader::take_record(ByteView bytes) {
    Cursor in(bytes);
    try {
        switch (static_cast<RecordKind>(in.u8())) {
            case RecordKind::key: {
                const ByteView name = in.raw(in.varint());
                head_.name.assign(as_text(name));
                const std::uint8_t flags = in.u8();
                if (flags > has_expiry) throw Error{Code::corrupt, "a record of a Redis item has unknown flags"};
                head_.expiry_ms = flags == 0 ? no_expiry : static_cast<std::int64_t>(in.number(8));
                head_.type = in.u8();
                head_.value_bytes = value_left_ = in.varint();
                in_value_ = true;
                sink_.key(head_);
                break;
            }
            case RecordKind::gone:
                sink_.gone(KeyId::from(in.raw(KeyId::size)));
                break;
            case RecordKind::function:
                sink_.function(in.raw(in.varint()));
                break;
            case RecordKind::module_aux:
                sink_.module_aux(in.raw(in.varint()));
                break;
            case RecordKind::version:
                sink_.version(static_cast<int>(in.number(2)));
                break;
            default:
                throw Error{Code::corrupt, "a record of a Redis item is of an unknown kind"};
        }
    } catch (const TooShort&) {
        return 0;
    }
    return in.position();
}

void RecordReader::feed(ByteView bytes) {
    while (true) {
        if (in_value_) {
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(value_left_, bytes.size()));
            if (some > 0) sink_.value(bytes.first(some));
            bytes = bytes.subspan(some);
            value_left_ -= some;
            if (value_left_ > 0) return;
            in_value_ = false;
            sink_.end_key(head_);
        }
        if (held_.empty()) {
            if (bytes.empty()) return;
            const std::size_t taken = take_record(bytes);
            if (taken == 0) return append(held_, bytes);
            bytes = bytes.subspan(taken);
            continue;
        }
        // The head goes on: as little as needed is copied.
        const std::size_t before = held_.size();
        append(held_, bytes.first(std::min<std::size_t>(bytes.size(), 64 * 1024)));
        const std::size_t more = held_.size() - before;
        const std::size_t taken = take_record(held_);
        if (taken == 0) {
            bytes = bytes.subspan(more);
            if (bytes.empty()) return;
            continue;
        }
        bytes = bytes.subspan(taken - before);
        held_.clear();
    }
}

void RecordReader::end() const {
    if (in_value_ || !held_.empty()) throw Error{Code::corrupt, "an item of Redis keys ends in the middle of a record"};
}

}  // namespace holdfast::redis
