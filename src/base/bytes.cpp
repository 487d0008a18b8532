#include "base/bytes.h"

#include <algorithm>

#include "base/error.h"

namespace holdfast {

void grow(Bytes& bytes, std::size_t least) {
    Bytes larger;
    larger.reserve(std::max(least, 2 * bytes.capacity()));
    larger.resize(bytes.size());
    if (!bytes.empty()) std::memcpy(larger.data(), bytes.data(), bytes.size());
    bytes.swap(larger);
}

std::string to_hex(ByteView bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

std::optional<Bytes> from_hex(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    const auto digit = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    Bytes out;
    out.reserve(hex.size() / 2);
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        const int high = digit(hex[i]);
        const int low = digit(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<std::uint8_t>(high << 4 | low));
    }
    return out;
}

std::string to_base64(ByteView bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t here = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < here ? bytes[i + j] : 0U);
        for (std::size_t j = 0; j < 4; ++j) out += j <= here ? digits[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

void ByteWriter::varint(std::uint64_t value) {
    while (value >= 0x80) {
        out_.push_back(static_cast<std::uint8_t>(value | 0x80));
        value >>= 7;
    }
    out_.push_back(static_cast<std::uint8_t>(value));
}

void ByteWriter::zigzag(std::int64_t value) {
    varint((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void ByteWriter::string(std::string_view text) {
    varint(text.size());
    raw(as_bytes(text));
}

std::uint64_t ByteReader::varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        const std::uint8_t byte = u8();
        if (shift == 63 && byte > 1) fail("a number is too large");
        value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail("a number does not end");
}

std::int64_t ByteReader::zigzag() {
    const std::uint64_t raw = varint();
    return static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
}

ByteView ByteReader::string_view() {
    const std::uint64_t length = varint();
    if (length > left()) too_short(length);
    return take(static_cast<std::size_t>(length));
}

std::size_t ByteReader::count(std::size_t bytes_each) {
    const std::uint64_t value = varint();
    if (value > left() / std::max<std::size_t>(bytes_each, 1)) fail("a count is larger than what follows it");
    return static_cast<std::size_t>(value);
}

void ByteReader::expect_done() const {
    if (!done()) throw Error{Code::corrupt, "{} has {} bytes too many", what_, left()};
}

void ByteReader::fail(std::string_view why) const {
    throw Error{Code::corrupt, "{} is damaged at byte {}: {}", what_, at_, why};
}

void ByteReader::too_short(std::size_t wanted) const {
    throw Error{Code::corrupt, "{} ends at byte {}: {} more are needed, {} are left", what_, bytes_.size(), wanted,
                left()};
}

}  // namespace holdfast
