#include "clients/s3/xml.h"

#include <array>
#include <charconv>
#include <utility>

namespace holdfast::s3 {

namespace {

// "<name>…</name>" from `at` on; moves `at` behind it.
std::optional<std::string_view> next_element(std::string_view xml, std::string_view name, std::size_t& at) {
    const std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
    const std::size_t begin = xml.find(open, at);
    if (begin == std::string_view::npos) return std::nullopt;
    const std::size_t end = xml.find(close, begin);
    if (end == std::string_view::npos) return std::nullopt;
    at = end + close.size();
    return xml.substr(begin + open.size(), end - begin - open.size());
}

void append_utf8(std::string& to, unsigned code) {
    if (code < 0x80) {
        to += static_cast<char>(code);
    } else if (code < 0x800) {
        to += static_cast<char>(0xC0 | code >> 6);
        to += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        to += static_cast<char>(0xE0 | code >> 12);
        to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
        to += static_cast<char>(0x80 | (code & 0x3F));
    }
}

std::string decoded(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 5> named{
        {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}}};
    std::string out;
    while (!text.empty()) {
        if (text[0] != '&') {
            out += text[0];
            text.remove_prefix(1);
            continue;
        }
        const std::size_t end = text.find(';');
        bool found = false;
        for (const auto& [entity, c] : named) {
            if (!text.starts_with(entity)) continue;
            out += c;
            found = true;
        }
        if (!found && text.starts_with("&#") && end != std::string_view::npos && end > 2) {
            const bool hex = text[2] == 'x';
            unsigned code = 0;
            const char* const last = text.data() + end;
            const auto [stop, failure] = std::from_chars(text.data() + (hex ? 3 : 2), last, code, hex ? 16 : 10);
            found = failure == std::errc{} && stop == last;
            if (found) append_utf8(out, code);
        }
        if (!found) out += '&';
        text.remove_prefix(found && end != std::string_view::npos ? end + 1 : 1);
    }
    return out;
}

}  // namespace

std::optional<std::string> xml_text(std::string_view xml, std::string_view name) {
    std::size_t at = 0;
    const auto element = next_element(xml, name, at);
    if (!element) return std::nullopt;
    return decoded(*element);
}

std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name) {
    std::vector<std::string_view> out;
    std::size_t at = 0;
    while (const auto element = next_element(xml, name, at)) out.push_back(*element);
    return out;
}

}  // namespace holdfast::s3
