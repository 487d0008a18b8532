#include "sources/redis/rdb_value.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>

#include "base/error.h"
#include "sources/redis/blobs.h"

namespace holdfast::redis {

namespace {

enum Type : std::uint8_t {
    type_string = 0,
    type_list = 1,
    type_set = 2,
    type_zset = 3,
    type_hash = 4,
    type_zset_2 = 5,
    type_module_2 = 7,
    type_hash_zipmap = 9,
    type_list_ziplist = 10,
    type_set_intset = 11,
    type_zset_ziplist = 12,
    type_hash_ziplist = 13,
    type_list_quicklist = 14,
    type_stream = 15,
    type_hash_listpack = 16,
    type_zset_listpack = 17,
    type_list_quicklist_2 = 18,
    type_stream_2 = 19,
    type_set_listpack = 20,
    type_stream_3 = 21,
};

constexpr std::size_t lzf_window = 8192;
constexpr std::size_t lzf_piece = 64 * 1024;
constexpr std::uint64_t string_bytes_max = 1ULL << 40;

constexpr std::size_t lzf_slack = 32;
Error lzf_damaged() { return Error{Code::corrupt, "a compressed string of the RDB data is damaged"}; }

// All at once. `out` has lzf_slack bytes more than `plain`: runs are copied in steps of a fixed size.
void unpack_lzf(ByteView packed, std::uint8_t* const out, std::size_t plain) {
    const std::uint8_t* in = packed.data();
    const std::uint8_t* const in_end = in + packed.size();
    std::uint8_t* to = out;
    std::uint8_t* const end = out + plain;
    while (in < in_end) {
        const std::size_t control = *in++;
        if (control < 32) {
            const std::size_t length = control + 1;
            if (length > static_cast<std::size_t>(in_end - in) || length > static_cast<std::size_t>(end - to))
                throw lzf_damaged();
            if (static_cast<std::size_t>(in_end - in) >= 32)
                std::memcpy(to, in, 32);
            else
                std::memcpy(to, in, length);
            in += length;
            to += length;
            continue;
        }
        std::size_t length = control >> 5;
        if (in_end - in < (length == 7 ? 2 : 1)) throw lzf_damaged();
        if (length == 7) length += *in++;
        length += 2;
        const std::size_t back = ((control & 0x1fU) << 8) + *in++ + 1;
        if (back > static_cast<std::size_t>(to - out) || length > static_cast<std::size_t>(end - to))
            throw lzf_damaged();
        const std::uint8_t* from = to - back;
        std::uint8_t* const stop = to + length;
        if (back >= 16) {
            for (; to < stop; to += 16, from += 16) std::memcpy(to, from, 16);
            to = stop;
        } else {
            while (to < stop) *to++ = *from++;
        }
    }
    if (to != end) throw lzf_damaged();
}

// Decompresses as it reads; only the window is kept.
template <class Piece>
void unpack_lzf_in_pieces(RdbInput& in, std::uint64_t packed, std::uint64_t plain, const Piece& piece) {
    std::array<std::uint8_t, lzf_window + lzf_piece + 512> out;
    std::size_t at = 0, given = 0;
    std::uint64_t done = 0;
    const std::uint64_t end = in.position() + packed;
    while (in.position() < end) {
        if (at >= lzf_window + lzf_piece) {
            piece(ByteView(out.data() + given, at - given));
            std::memmove(out.data(), out.data() + at - lzf_window, lzf_window);
            at = given = lzf_window;
        }
        const std::uint8_t control = in.u8();
        if (control < 32) {
            const ByteView literal = in.view(control + 1U);
            std::memcpy(out.data() + at, literal.data(), literal.size());
            at += literal.size();
            done += literal.size();
            continue;
        }
        std::size_t length = control >> 5;
        if (length == 7) length += in.u8();
        length += 2;
        const std::size_t back = ((control & 0x1fU) << 8) + in.u8() + 1;
        if (back > at) throw lzf_damaged();
        for (std::size_t i = 0; i < length; ++i) out[at + i] = out[at + i - back];
        at += length;
        done += length;
    }
    if (in.position() != end || done != plain) throw lzf_damaged();
    if (at > given) piece(ByteView(out.data() + given, at - given));
}

template <class Piece>
void read_lzf(RdbInput& in, std::uint64_t packed, std::uint64_t plain, const Piece& piece) {
    if (plain > unpacked_bytes_max) return unpack_lzf_in_pieces(in, packed, plain, piece);
    // No run of it gives less than a byte for two.
    if (packed > 2 * plain) throw lzf_damaged();
    Bytes& out = in.scratch();
    out.resize(static_cast<std::size_t>(plain) + lzf_slack);
    unpack_lzf(in.view(static_cast<std::size_t>(packed)), out.data(), static_cast<std::size_t>(plain));
    out.resize(static_cast<std::size_t>(plain));
    if (plain > 0) piece(ByteView(out));
}

// Of a string, in pieces; `begin` gets its length before them.
template <class Begin, class Piece>
void read_string_of(RdbInput& in, const Begin& begin, const Piece& piece) {
    const RdbLength length = read_length(in);
    if (!length.is_encoding) {
        if (length.value > string_bytes_max) throw Error{Code::corrupt, "a string of the RDB data is too long"};
        begin(length.value);
        return in.stream(length.value, piece);
    }
    if (length.value == 3) {
        const std::uint64_t packed = read_count(in), plain = read_count(in);
        if (packed > string_bytes_max || plain > string_bytes_max)
            throw Error{Code::corrupt, "a string of the RDB data is too long"};
        begin(plain);
        return read_lzf(in, packed, plain, piece);
    }
    if (length.value > 2) throw Error{Code::corrupt, "a string of the RDB data has an unknown encoding"};
    const unsigned width = 1U << length.value;
    const unsigned spare = 64 - 8 * width;
    const std::int64_t number = static_cast<std::int64_t>(in.little_endian(width) << spare) >> spare;
    std::array<char, 24> text{};
    const auto [end, problem] = std::to_chars(text.data(), text.data() + text.size(), number);
    const auto bytes = static_cast<std::size_t>(end - text.data());
    begin(bytes);
    piece(as_bytes({text.data(), bytes}));
}

void hash_string(RdbInput& in, Hash128& hash) {
    read_string_of(
        in, [&](std::uint64_t bytes) { hash.number(bytes); }, [&](ByteView piece) { hash.add(piece); });
}

double read_old_score(RdbInput& in) {
    const std::uint8_t bytes = in.u8();
    if (bytes == 255) return -std::numeric_limits<double>::infinity();
    if (bytes == 254) return std::numeric_limits<double>::infinity();
    if (bytes == 253) return std::numeric_limits<double>::quiet_NaN();
    const std::string text(as_text(in.view(bytes)));
    return std::strtod(text.c_str(), nullptr);
}

double read_binary_score(RdbInput& in) { return std::bit_cast<double>(in.little_endian(8)); }

double score_of(ByteView text) { return std::strtod(std::string(as_text(text)).c_str(), nullptr); }

// What a collection holds, in the way that fits its kind.
class Gathered {
public:
    explicit Gathered(ValueClass kind) { value_.kind = kind; }
    void next_in_list(ByteView element) {
        ++value_.elements;
        chain_.string(element);
    }
    Hash128& chain() { return chain_; }
    void count() { ++value_.elements; }
    void member(const Hash128& hash) {
        ++value_.elements;
        value_.digest.add(hash.value());
    }
    void member(ByteView element) {
        Hash128 hash(1);
        hash.string(element);
        member(hash);
    }
    void pair(ByteView field, ByteView with) {
        Hash128 hash(2);
        hash.string(field);
        hash.string(with);
        member(hash);
    }
    void score(ByteView element, double number) {
        Hash128 hash(3);
        hash.string(element);
        hash.number(std::bit_cast<std::uint64_t>(number));
        member(hash);
    }
    Value chained() {
        value_.digest = chain_.value();
        return value_;
    }
    Value summed() { return value_; }

private:
    Value value_;
    Hash128 chain_{4};
};

// Two by two: fields with values, members with scores.
template <class Pair>
Element in_pairs(Bytes& first, bool& has_first, const Pair& pair) {
    return [&](ByteView element) {
        if (has_first)
            pair(ByteView(first), element);
        else
            first.assign(element.begin(), element.end());
        has_first = !has_first;
    };
}

template <class Each>
Value pairs_of(ValueClass kind, const Each& each, const Bytes& blob) {
    Gathered out(kind);
    Bytes first;
    bool has_first = false;
    each(blob, in_pairs(first, has_first, [&](ByteView a, ByteView b) {
             if (kind == ValueClass::hash)
                 out.pair(a, b);
             else
                 out.score(a, score_of(b));
         }));
    if (has_first) throw Error{Code::corrupt, "a {} of the RDB data has an odd number of elements", name_of(kind)};
    return out.summed();
}

Value read_string_value(RdbInput& in) {
    Hash128 hash(5);
    hash_string(in, hash);
    return {ValueClass::string, 1, hash.value()};
}

Value read_plain(RdbInput& in, std::uint8_t type) {
    const std::uint64_t count = read_count(in);
    Gathered out(type == type_list   ? ValueClass::list
                 : type == type_set  ? ValueClass::set
                 : type == type_hash ? ValueClass::hash
                                     : ValueClass::zset);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (type == type_list) {
            hash_string(in, out.chain());
            out.count();
            continue;
        }
        Hash128 hash(type == type_set ? 1 : type == type_hash ? 2 : 3);
        hash_string(in, hash);
        if (type == type_hash) hash_string(in, hash);
        if (type == type_zset || type == type_zset_2)
            hash.number(std::bit_cast<std::uint64_t>(type == type_zset ? read_old_score(in) : read_binary_score(in)));
        out.member(hash);
    }
    return type == type_list ? out.chained() : out.summed();
}

Value read_quicklist(RdbInput& in, std::uint8_t type) {
    const std::uint64_t nodes = read_count(in);
    Gathered out(ValueClass::list);
    const auto next = [&](ByteView element) { out.next_in_list(element); };
    for (std::uint64_t i = 0; i < nodes; ++i) {
        const std::uint64_t container = type == type_list_quicklist_2 ? read_count(in) : 2;
        if (container == 1) {
            hash_string(in, out.chain());
            out.count();
        } else if (container != 2) {
            throw Error{Code::corrupt, "a list of the RDB data has a node of unknown form {}", container};
        } else if (type == type_list_quicklist_2) {
            each_of_listpack(read_string(in), next);
        } else {
            each_of_ziplist(read_string(in), next);
        }
    }
    return out.chained();
}

std::uint64_t number_of(const std::string& text) {
    std::int64_t out = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{}) throw Error{Code::corrupt, "a stream of the RDB data has no number where one belongs"};
    return static_cast<std::uint64_t>(out);
}

// Entries of one node: a master entry with field names, then entries that may share them.
void read_stream_node(const Bytes& id, const Bytes& blob, Gathered& out) {
    std::vector<std::string> all;
    each_of_listpack(blob, [&](ByteView element) { all.emplace_back(as_text(element)); });
    std::size_t at = 0;
    const auto take = [&]() -> const std::string& {
        if (at >= all.size()) throw Error{Code::corrupt, "a stream of the RDB data ends in the middle of an entry"};
        return all[at++];
    };
    if (id.size() != 16) throw Error{Code::corrupt, "a stream of the RDB data has a node without an id"};
    std::uint64_t ms = 0, seq = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        ms = ms << 8 | id[i];
        seq = seq << 8 | id[8 + i];
    }
    take();  // entries
    take();  // deleted ones
    const std::uint64_t fields = number_of(take());
    if (fields > all.size()) throw Error{Code::corrupt, "a stream of the RDB data has too few fields"};
    const std::size_t names = at;
    at += fields;
    take();  // 0
    while (at < all.size()) {
        const std::uint64_t flags = number_of(take());
        const std::uint64_t entry_ms = ms + number_of(take());
        const std::uint64_t entry_seq = seq + number_of(take());
        const bool same_fields = (flags & 2) != 0;
        const std::uint64_t count = same_fields ? fields : number_of(take());
        Hash128& chain = out.chain();
        const bool deleted = (flags & 1) != 0;
        if (!deleted) {
            out.count();
            chain.number(entry_ms);
            chain.number(entry_seq);
            chain.number(count);
        }
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string& name = same_fields ? all[names + i] : take();
            const std::string& text = take();
            if (deleted) continue;
            chain.string(as_bytes(name));
            chain.string(as_bytes(text));
        }
        take();  // how many elements it has
    }
}

void read_stream_group(RdbInput& in, std::uint8_t type, Gathered& out) {
    Hash128 group(6);
    group.string(read_string(in));
    group.number(read_count(in));
    group.number(read_count(in));
    if (type != type_stream) read_count(in);  // entries read: an estimate of the server's
    const std::uint64_t pending = read_count(in);
    Sum128 sum;
    for (std::uint64_t i = 0; i < pending; ++i) {
        Hash128 one(7);
        one.string(in.view(16));
        one.number(in.little_endian(8));
        one.number(read_count(in));
        sum.add(one.value());
    }
    const std::uint64_t consumers = read_count(in);
    for (std::uint64_t i = 0; i < consumers; ++i) {
        Hash128 one(8);
        one.string(read_string(in));
        in.view(type == type_stream_3 ? 16 : 8);  // when it was seen
        const std::uint64_t owned = read_count(in);
        Sum128 ids;
        for (std::uint64_t j = 0; j < owned; ++j) {
            Hash128 id(9);
            id.string(in.view(16));
            ids.add(id.value());
        }
        one.number(owned);
        one.add(ids);
        sum.add(one.value());
    }
    group.number(pending);
    group.number(consumers);
    group.add(sum);
    out.chain().add(group.value());
}

Value read_stream(RdbInput& in, std::uint8_t type) {
    Gathered out(ValueClass::stream);
    const std::uint64_t nodes = read_count(in);
    for (std::uint64_t i = 0; i < nodes; ++i) {
        const Bytes id = read_string(in);
        read_stream_node(id, read_string(in), out);
    }
    read_count(in);                      // length
    out.chain().number(read_count(in));  // last id
    out.chain().number(read_count(in));
    if (type != type_stream)
        for (int i = 0; i < 5; ++i) read_count(in);  // first id, greatest deleted id, entries ever added
    const std::uint64_t groups = read_count(in);
    out.chain().number(groups);
    for (std::uint64_t i = 0; i < groups; ++i) read_stream_group(in, type, out);
    return out.chained();
}

Value read_module(RdbInput& in) {
    Hash128 hash(10);
    hash.number(read_count(in));
    skip_module_value(in);
    return {ValueClass::module, 1, hash.value()};
}

// Whether a value of the type is one string, whatever lies in that.
bool is_one_string(std::uint8_t type) {
    return type == type_string || (type >= type_hash_zipmap && type <= type_hash_ziplist) ||
           type == type_hash_listpack || type == type_zset_listpack || type == type_set_listpack;
}

}  // namespace

std::string_view name_of(ValueClass value) {
    switch (value) {
        case ValueClass::string:
            return "string";
        case ValueClass::list:
            return "list";
        case ValueClass::set:
            return "set";
        case ValueClass::zset:
            return "zset";
        case ValueClass::hash:
            return "hash";
        case ValueClass::stream:
            return "stream";
        case ValueClass::module:
            return "module";
    }
    return "unknown";
}

RdbLength read_length(RdbInput& in) {
    const std::uint8_t first = in.u8();
    switch (first >> 6) {
        case 0:
            return {first & 0x3fU, false};
        case 1:
            return {(first & 0x3fU) << 8 | in.u8(), false};
        case 3:
            return {first & 0x3fU, true};
        default:
            if (first == 0x80) return {in.big_endian(4), false};
            if (first == 0x81) return {in.big_endian(8), false};
            throw Error{Code::corrupt, "a length in the RDB data makes no sense"};
    }
}

std::uint64_t read_count(RdbInput& in) {
    const RdbLength length = read_length(in);
    if (length.is_encoding) throw Error{Code::corrupt, "a length in the RDB data makes no sense"};
    return length.value;
}

void read_string(RdbInput& in, const std::function<void(std::uint64_t)>& begin, const RdbInput::Piece& piece) {
    read_string_of(in, begin, piece);
}

void read_string(RdbInput& in, Bytes& out) {
    out.clear();
    read_string_of(
        in, [](std::uint64_t) {}, [&](ByteView piece) { append(out, piece); });
}

Bytes read_string(RdbInput& in) {
    Bytes out;
    read_string(in, out);
    return out;
}

bool decode_string(ByteView raw, std::size_t bytes_max, Bytes& out) {
    if (raw.empty()) return false;
    std::size_t at = 0;
    const auto little_endian = [&](std::size_t bytes) {
        std::uint64_t number = 0;
        for (std::size_t i = bytes; i-- > 0;) number = number << 8 | raw[at + i];
        return number;
    };
    // Of one or two bytes, or of five; none that is not whole or longer.
    const auto length = [&]() -> std::optional<std::uint64_t> {
        if (at == raw.size()) return std::nullopt;
        const std::uint8_t first = raw[at];
        const std::size_t bytes = first < 0x40 ? 1 : first < 0x80 ? 2 : first == 0x80 ? 5 : 0;
        if (bytes == 0 || raw.size() - at < bytes) return std::nullopt;
        std::uint64_t number = bytes == 5 ? 0 : first & 0x3fU;
        for (std::size_t i = 1; i < bytes; ++i) number = number << 8 | raw[at + i];
        at += bytes;
        return number;
    };
    if (raw[0] < 0xc0) {
        const auto bytes = length();
        if (!bytes || *bytes > bytes_max || *bytes != raw.size() - at) return false;
        out.assign(raw.begin() + static_cast<std::ptrdiff_t>(at), raw.end());
        return true;
    }
    at = 1;
    if (raw[0] <= 0xc2) {
        const std::size_t width = std::size_t{1} << (raw[0] & 3U);
        if (raw.size() != 1 + width) return false;
        const unsigned spare = static_cast<unsigned>(64 - 8 * width);
        const auto text = std::to_string(static_cast<std::int64_t>(little_endian(width) << spare) >> spare);
        out = to_bytes(as_bytes(text));
        return true;
    }
    if (raw[0] != 0xc3) return false;
    const auto packed = length(), plain = length();
    if (!packed || !plain || *packed != raw.size() - at || *plain > bytes_max) return false;
    out.resize(static_cast<std::size_t>(*plain) + lzf_slack);
    try {
        unpack_lzf(raw.subspan(at), out.data(), static_cast<std::size_t>(*plain));
    } catch (const Error&) {
        return false;
    }
    out.resize(static_cast<std::size_t>(*plain));
    return true;
}

void skip_module_value(RdbInput& in) {
    while (true) {
        switch (read_count(in)) {
            case 0:
                return;
            case 1:
            case 2:
                read_count(in);
                break;
            case 3:
                in.view(4);
                break;
            case 4:
                in.view(8);
                break;
            case 5:
                read_string(
                    in, [](std::uint64_t) {}, [](ByteView) {});
                break;
            default:
                throw Error{Code::corrupt, "a module's value in the RDB data makes no sense"};
        }
    }
}

bool is_known_type(std::uint8_t type) { return type <= type_stream_3 && type != 6 && type != 8; }

namespace {

Value read_known(RdbInput& in, std::uint8_t type) {
    switch (type) {
        case type_string:
            return read_string_value(in);
        case type_list:
        case type_set:
        case type_zset:
        case type_zset_2:
        case type_hash:
            return read_plain(in, type);
        case type_module_2:
            return read_module(in);
        case type_hash_zipmap:
            return pairs_of(ValueClass::hash, each_of_zipmap, read_string(in));
        case type_hash_ziplist:
            return pairs_of(ValueClass::hash, each_of_ziplist, read_string(in));
        case type_hash_listpack:
            return pairs_of(ValueClass::hash, each_of_listpack, read_string(in));
        case type_zset_ziplist:
            return pairs_of(ValueClass::zset, each_of_ziplist, read_string(in));
        case type_zset_listpack:
            return pairs_of(ValueClass::zset, each_of_listpack, read_string(in));
        case type_list_ziplist: {
            Gathered out(ValueClass::list);
            each_of_ziplist(read_string(in), [&](ByteView element) { out.next_in_list(element); });
            return out.chained();
        }
        case type_set_intset:
        case type_set_listpack: {
            Gathered out(ValueClass::set);
            const Element member = [&](ByteView element) { out.member(element); };
            if (type == type_set_intset)
                each_of_intset(read_string(in), member);
            else
                each_of_listpack(read_string(in), member);
            return out.summed();
        }
        case type_list_quicklist:
        case type_list_quicklist_2:
            return read_quicklist(in, type);
        case type_stream:
        case type_stream_2:
        case type_stream_3:
            return read_stream(in, type);
        default:
            break;
    }
    throw Error{Code::newer_format, "the RDB data has a value of type {}, which this version does not know", type}.hint(
        "A newer holdfast may read it.");
}

}  // namespace

Value read_value(RdbInput& in, std::uint8_t type) {
    in.scratch().clear();
    Value out = read_known(in, type);
    if (is_one_string(type) && !in.scratch().empty()) out.unpacked = ByteView(in.scratch());
    return out;
}

Sum128 digest_of_key(ByteView key, const Value& value, std::int64_t expiry_ms) {
    Hash128 hash(11);
    hash.string(key);
    hash.number(static_cast<std::uint64_t>(value.kind));
    hash.number(value.elements);
    hash.add(value.digest);
    hash.number(static_cast<std::uint64_t>(expiry_ms));
    return hash.value();
}

}  // namespace holdfast::redis
