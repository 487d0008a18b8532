// UTF-8: the part of base/text.h that deals with characters.
#include <fmt/format.h>

#include "base/text.h"
#include "base/utf8.h"

namespace holdfast {

namespace utf8 {

Character next(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return {first, 1};
    const Character invalid{invalid_byte + first, 1};
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() - at < length) return invalid;
    char32_t code = first & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return invalid;
        code = code << 6 | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (overlong || surrogate || code > 0x10ffff) return invalid;
    return {code, length};
}

std::size_t columns(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); at += next(text, at).bytes) ++count;
    return count;
}

}  // namespace utf8

namespace {

// What a terminal would act on instead of showing it: controls, and marks that turn the direction of writing.
bool is_control(char32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x202a && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

}  // namespace

bool is_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const utf8::Character c = utf8::next(text, at);
        if (!c.is_valid()) return false;
        at += c.bytes;
    }
    return true;
}

std::string to_valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const utf8::Character c = utf8::next(text, at);
        out += c.is_valid() ? text.substr(at, c.bytes) : "\xef\xbf\xbd";
        at += c.bytes;
    }
    return out;
}

std::string printable(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const utf8::Character c = utf8::next(text, at);
        const std::string_view raw = text.substr(at, c.bytes);
        at += c.bytes;
        if (c.is_valid() && !is_control(c.code)) {
            out += raw;
        } else if (c.code == U'\n') {
            out += "\\n";
        } else if (c.code == U'\t') {
            out += "\\t";
        } else if (c.code == U'\r') {
            out += "\\r";
        } else {
            for (const char byte : raw) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
        }
    }
    return out;
}

}  // namespace holdfast
