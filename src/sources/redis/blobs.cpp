#include "sources/redis/blobs.h"

#include <charconv>

namespace holdfast::redis {

namespace {

constexpr std::uint8_t end_mark = 0xff;

void number(const Element& element, std::int64_t value) {
    std::array<char, 24> text{};
    const auto [end, problem] = std::to_chars(text.data(), text.data() + text.size(), value);
    element(as_bytes({text.data(), static_cast<std::size_t>(end - text.data())}));
}

std::uint64_t big_endian(ByteView bytes) {
    std::uint64_t out = 0;
    for (const std::uint8_t byte : bytes) out = out << 8 | byte;
    return out;
}

// Little-endian, two's complement, of 2, 3, 4 or 8 bytes.
std::int64_t signed_number(ByteReader& in, std::size_t bytes) {
    std::uint64_t value = 0;
    const ByteView raw = in.raw(bytes);
    for (std::size_t i = bytes; i-- > 0;) value = value << 8 | raw[i];
    const unsigned spare = static_cast<unsigned>(64 - 8 * bytes);
    return static_cast<std::int64_t>(value << spare) >> spare;
}

void ziplist_entry(ByteReader& in, const Element& element) {
    if (in.u8() == 254) in.u32();  // the length of the one before
    const std::uint8_t first = in.u8();
    switch (first >> 6) {
        case 0:
            return element(in.raw(first & 0x3fU));
        case 1:
            return element(in.raw((first & 0x3fU) << 8 | in.u8()));
        case 2:
            return element(in.raw(big_endian(in.raw(4))));
        default:
            break;
    }
    switch (first) {
        case 0xc0:
            return number(element, signed_number(in, 2));
        case 0xd0:
            return number(element, signed_number(in, 4));
        case 0xe0:
            return number(element, signed_number(in, 8));
        case 0xf0:
            return number(element, signed_number(in, 3));
        case 0xfe:
            return number(element, signed_number(in, 1));
        default:
            if (first < 0xf1 || first > 0xfd) in.fail("an element has an encoding that is not known");
            return number(element, (first & 0x0f) - 1);
    }
}

void listpack_entry(ByteReader& in, std::uint8_t first, const Element& element) {
    const std::size_t began = in.position() - 1;
    if (first < 0x80) {
        number(element, first);
    } else if (first < 0xc0) {
        element(in.raw(first & 0x3fU));
    } else if (first < 0xe0) {
        const auto value = static_cast<std::int64_t>((first & 0x1fU) << 8 | in.u8());
        number(element, value >= 1 << 12 ? value - (1 << 13) : value);
    } else if (first < 0xf0) {
        element(in.raw((first & 0x0fU) << 8 | in.u8()));
    } else {
        switch (first) {
            case 0xf0:
                element(in.raw(in.u32()));
                break;
            case 0xf1:
                number(element, signed_number(in, 2));
                break;
            case 0xf2:
                number(element, signed_number(in, 3));
                break;
            case 0xf3:
                number(element, signed_number(in, 4));
                break;
            case 0xf4:
                number(element, signed_number(in, 8));
                break;
            default:
                in.fail("an element has an encoding that is not known");
        }
    }
    // How long it was, once more, for reading backwards.
    const std::size_t bytes = in.position() - began;
    in.raw(bytes <= 127 ? 1 : bytes < 16383 ? 2 : bytes < 2097151 ? 3 : bytes < 268435455 ? 4 : 5);
}

}  // namespace

void each_of_ziplist(ByteView blob, const Element& element) {
    ByteReader in(blob, "a ziplist");
    if (in.u32() != blob.size()) in.fail("its length is not what it says");
    in.raw(6);
    while (true) {
        if (in.left() == 0) in.fail("it has no end");
        if (blob[in.position()] == end_mark) break;
        ziplist_entry(in, element);
    }
    in.u8();
    in.expect_done();
}

void each_of_listpack(ByteView blob, const Element& element) {
    ByteReader in(blob, "a listpack");
    if (in.u32() != blob.size()) in.fail("its length is not what it says");
    in.u16();
    for (std::uint8_t first = in.u8(); first != end_mark; first = in.u8()) listpack_entry(in, first, element);
    in.expect_done();
}

void each_of_intset(ByteView blob, const Element& element) {
    ByteReader in(blob, "an intset");
    const std::uint32_t width = in.u32();
    if (width != 2 && width != 4 && width != 8) in.fail("its numbers have no known width");
    const std::uint32_t count = in.u32();
    if (in.left() != std::uint64_t{count} * width) in.fail("its length is not what it says");
    for (std::uint32_t i = 0; i < count; ++i) number(element, signed_number(in, width));
}

void each_of_zipmap(ByteView blob, const Element& element) {
    ByteReader in(blob, "a zipmap");
    in.u8();  // how many, when they are few
    while (true) {
        std::uint8_t first = in.u8();
        if (first == end_mark) break;
        element(in.raw(first < 254 ? first : in.u32()));
        first = in.u8();
        if (first == end_mark) in.fail("a field has no value");
        const std::uint32_t bytes = first < 254 ? first : in.u32();
        const std::uint8_t spare = in.u8();
        element(in.raw(bytes));
        in.raw(spare);
    }
    in.expect_done();
}

Bytes make_listpack(const std::vector<std::string>& elements) {
    Bytes out;
    ByteWriter writer(out);
    writer.u32(0);
    writer.u16(static_cast<std::uint16_t>(elements.size()));
    for (const std::string& text : elements) {
        const std::size_t began = out.size();
        if (text.size() < 64) {
            writer.u8(static_cast<std::uint8_t>(0x80 | text.size()));
        } else {
            writer.u8(0xf0);
            writer.u32(static_cast<std::uint32_t>(text.size()));
        }
        writer.raw(as_bytes(text));
        std::size_t bytes = out.size() - began;
        const int width = bytes <= 127 ? 1 : bytes < 16383 ? 2 : bytes < 2097151 ? 3 : bytes < 268435455 ? 4 : 5;
        for (int i = width; i-- > 0;) {
            const auto part = static_cast<std::uint8_t>(bytes >> (7 * i) & 0x7f);
            writer.u8(i == width - 1 ? part : static_cast<std::uint8_t>(part | 0x80));
        }
    }
    writer.u8(end_mark);
    for (int i = 0; i < 4; ++i) out[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(out.size() >> (8 * i));
    return out;
}

}  // namespace holdfast::redis
