// base/utf8.h: the characters of a text that may hold bytes which are not UTF-8.
//
// Shape    next() gives one character, or one byte that belongs to none (its code is then invalid_byte + byte)
#pragma once

#include <cstddef>
#include <string_view>

namespace holdfast::utf8 {

constexpr char32_t invalid_byte = 0x110000;  // above every code point

struct Character {
    char32_t code;
    std::size_t bytes;
    bool is_valid() const { return code < invalid_byte; }
};

// `at` must be inside the text. Overlong forms, surrogates and codes above U+10FFFF are not valid.
Character next(std::string_view text, std::size_t at);

// Columns that `text` takes on a terminal, near enough for tables: one for each character.
std::size_t columns(std::string_view text);

}  // namespace holdfast::utf8
