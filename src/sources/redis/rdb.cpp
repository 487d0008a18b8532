#include "sources/redis/rdb.h"

#include <charconv>

#include "base/error.h"
#include "sources/redis/crc64.h"

namespace holdfast::redis {

namespace {

enum Opcode : std::uint8_t {
    opcode_function_2 = 0xf5,
    opcode_function_pre = 0xf6,
    opcode_module_aux = 0xf7,
    opcode_idle = 0xf8,
    opcode_freq = 0xf9,
    opcode_aux = 0xfa,
    opcode_resize = 0xfb,
    opcode_expiry_ms = 0xfc,
    opcode_expiry_s = 0xfd,
    opcode_select = 0xfe,
    opcode_end = 0xff,
};

constexpr std::string_view magic = "REDIS";
constexpr int checksum_since = 5;
constexpr std::size_t small_bytes = 64 * 1024;

int read_version(RdbInput& in) {
    const std::string head(as_text(in.view(9)));
    int version = 0;
    const auto [end, problem] = std::from_chars(head.data() + magic.size(), head.data() + head.size(), version);
    if (!head.starts_with(magic) || problem != std::errc{} || end != head.data() + head.size() || version < 1)
        throw Error{Code::corrupt, "this is no RDB data: it does not begin with REDIS and a version"};
    if (version > rdb_version_max)
        throw Error{Code::newer_format, "the RDB data is of version {}; this holdfast knows versions up to {}", version,
                    rdb_version_max}
            .hint("A newer holdfast may read it.");
    return version;
}

template <class Read>
Bytes recorded(RdbInput& in, const Read& read) {
    Bytes out;
    in.begin_record([&](ByteView piece) { append(out, piece); });
    read();
    in.end_record();
    return out;
}

void skip_module_aux(RdbInput& in) {
    read_count(in);  // the module's id
    read_count(in);  // "when" as an opcode and a number
    read_count(in);
    skip_module_value(in);
}

}  // namespace

RdbSummary read_rdb(RdbInput& in, RdbSink& sink) {
    RdbSummary out;
    out.version = read_version(in);
    sink.version(out.version);
    RdbKey key;
    Bytes name;
    while (true) {
        const std::uint8_t opcode = in.u8();
        switch (opcode) {
            case opcode_end: {
                if (out.version < checksum_since) return out;
                const std::uint64_t found = in.checksum();
                const std::uint64_t expected = in.little_endian(8);
                out.has_checksum = expected != 0;
                if (out.has_checksum && expected != found)
                    throw Error{Code::corrupt, "the checksum of the RDB data is {:016x}, but its bytes give {:016x}",
                                expected, found};
                return out;
            }
            case opcode_select:
                key.database = read_count(in);
                break;
            case opcode_expiry_s:
                key.expiry_ms = static_cast<std::int32_t>(in.little_endian(4)) * std::int64_t{1000};
                break;
            case opcode_expiry_ms:
                key.expiry_ms = static_cast<std::int64_t>(in.little_endian(8));
                break;
            case opcode_resize:
                read_count(in);
                read_count(in);
                break;
            case opcode_freq:
                in.u8();
                break;
            case opcode_idle:
                read_count(in);
                break;
            case opcode_aux: {
                read_string(in, name);
                sink.aux(std::string(as_text(name)), std::string(as_text(read_string(in))));
                break;
            }
            case opcode_module_aux:
                sink.module_aux(recorded(in, [&] { skip_module_aux(in); }));
                break;
            case opcode_function_2:
                sink.function(recorded(in, [&] { read_string(in); }));
                break;
            case opcode_function_pre:
                throw Error{Code::corrupt,
                            "the RDB data holds functions in the form of a release candidate of Redis 7"};
            default: {
                if (!is_known_type(opcode))
                    throw Error{Code::newer_format,
                                "the RDB data has an opcode or type {} that this version does not know, after {} bytes",
                                opcode, in.position()}
                        .hint("A newer holdfast may read it, if it is not damaged.");
                key.type = opcode;
                read_string(in, name);
                key.name.assign(as_text(name));
                sink.begin_key(key);
                in.begin_record([&](ByteView piece) { sink.value(piece); });
                const Value value = read_value(in, opcode);
                in.end_record();
                sink.end_key(key, value);
                key.expiry_ms = no_expiry;
            }
        }
    }
}

void append_length(Bytes& out, std::uint64_t value) {
    if (value < 1 << 6) {
        out.push_back(static_cast<std::uint8_t>(value));
    } else if (value < 1 << 14) {
        out.push_back(static_cast<std::uint8_t>(0x40 | value >> 8));
        out.push_back(static_cast<std::uint8_t>(value));
    } else {
        const int bytes = value <= 0xffffffff ? 4 : 8;
        out.push_back(bytes == 4 ? 0x80 : 0x81);
        for (int i = bytes; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

std::array<std::uint8_t, 10> dump_footer(std::uint64_t crc, int version) {
    std::array<std::uint8_t, 10> out{};
    out[0] = static_cast<std::uint8_t>(version);
    out[1] = static_cast<std::uint8_t>(version >> 8);
    crc = crc64(crc, ByteView(out).first(2));
    for (std::size_t i = 0; i < 8; ++i) out[2 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
    return out;
}

void RdbWriter::put(ByteView bytes) {
    if (bytes.size() >= small_bytes) {
        flush_small();
        crc_ = crc64(crc_, bytes);
        write_(bytes);
        return;
    }
    append(small_, bytes);
    if (small_.size() >= small_bytes) flush_small();
}

void RdbWriter::flush_small() {
    if (small_.empty()) return;
    crc_ = crc64(crc_, small_);
    write_(small_);
    small_.clear();
}

void RdbWriter::length(std::uint64_t value) {
    Bytes out;
    append_length(out, value);
    put(out);
}

void RdbWriter::string(std::string_view text) {
    length(text.size());
    put(as_bytes(text));
}

void RdbWriter::begin(int version) {
    version_ = version;
    put(as_bytes(fmt::format("{}{:04}", magic, version)));
}

void RdbWriter::aux(std::string_view name, std::string_view value) {
    small_.push_back(opcode_aux);
    string(name);
    string(value);
}

void RdbWriter::function(ByteView raw) {
    small_.push_back(opcode_function_2);
    put(raw);
}

void RdbWriter::module_aux(ByteView raw) {
    small_.push_back(opcode_module_aux);
    put(raw);
}

void RdbWriter::begin_key(const RdbKey& key) {
    if (database_ != key.database) {
        small_.push_back(opcode_select);
        length(key.database);
        database_ = key.database;
    }
    if (key.expiry_ms != no_expiry) {
        small_.push_back(opcode_expiry_ms);
        ByteWriter(small_).u64(static_cast<std::uint64_t>(key.expiry_ms));
    }
    small_.push_back(key.type);
    string(key.name);
}

void RdbWriter::end() {
    small_.push_back(opcode_end);
    flush_small();
    if (version_ < checksum_since) return;
    Bytes sum;
    ByteWriter(sum).u64(crc_);
    write_(sum);
}

}  // namespace holdfast::redis
