#include "source/aside_name.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast {

namespace {

constexpr std::size_t name_bytes_max = 63;
constexpr std::size_t stamp_bytes = std::string_view("20260301T041000Z").size();

std::string stamp(Nanoseconds time) {
    std::string out = rfc3339_seconds(time);
    std::erase_if(out, [](char c) { return c == '-' || c == ':'; });
    return out;
}

}  // namespace

std::string aside_prefix(const std::string& name, std::string_view word) {
    const std::string suffix = "_" + std::string(word) + "_";
    return name.substr(0, name_bytes_max - stamp_bytes - suffix.size()) + suffix;
}

std::string aside_name(const std::string& name, std::string_view word, Nanoseconds now) {
    return aside_prefix(name, word) + stamp(now);
}

}  // namespace holdfast
