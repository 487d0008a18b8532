#include "sources/mongodb/id_order.h"

#include <cstring>

namespace holdfast::mongodb {

namespace {

// As servers rank types against each other.
char rank_of(BsonType type) {
    switch (type) {
        case BsonType::min_key:
            return 0;
        case BsonType::undefined:
            return 1;
        case BsonType::null:
            return 2;
        case BsonType::f64:
        case BsonType::i32:
        case BsonType::i64:
        case BsonType::decimal:
            return 3;
        case BsonType::text:
        case BsonType::symbol:
            return 4;
        case BsonType::document:
            return 5;
        case BsonType::array:
            return 6;
        case BsonType::binary:
            return 7;
        case BsonType::object_id:
            return 8;
        case BsonType::boolean:
            return 9;
        case BsonType::date:
            return 10;
        case BsonType::timestamp:
            return 11;
        case BsonType::max_key:
            return 127;
        default:
            return 12;
    }
}

void append_big_endian(std::string& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

constexpr std::uint64_t sign_bit = 1ULL << 63;

void append_number(std::string& out, double value) {
    if (value == 0) value = 0;  // minus zero is zero
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    append_big_endian(out, (bits & sign_bit) != 0 ? ~bits : bits | sign_bit);
}

}  // namespace

std::string order_key(const Element& id) {
    std::string out(1, rank_of(id.type));
    switch (id.type) {
        case BsonType::f64: {
            double value = 0;
            std::memcpy(&value, id.value.data(), sizeof value);
            append_number(out, value);
            break;
        }
        case BsonType::i32:
        case BsonType::i64:
            append_number(out, static_cast<double>(id.number().value_or(0)));
            break;
        case BsonType::text:
            out += id.text().value_or("");
            break;
        case BsonType::date:
            append_big_endian(out, static_cast<std::uint64_t>(id.milliseconds().value_or(0)) ^ sign_bit);
            break;
        case BsonType::timestamp:
            append_big_endian(out, id.timestamp().value_or(0));
            break;
        case BsonType::binary:
            append_big_endian(out, id.value.size());
            out += as_text(id.value.subspan(std::min<std::size_t>(id.value.size(), sizeof(std::uint32_t))));
            break;
        default:
            out += as_text(id.value);
    }
    return out;
}

}  // namespace holdfast::mongodb
