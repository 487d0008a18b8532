#include "sources/redis/names.h"

#include <fmt/format.h>

#include <charconv>

namespace holdfast::redis {

std::string layer_path(std::uint64_t database, std::size_t bucket, std::uint32_t layer) {
    return fmt::format("{}/{:04x}-{:06x}", database, bucket, 0xffffffU - (layer & 0xffffffU));
}

std::optional<LayerPlace> place_of(std::string_view path) {
    const std::size_t slash = path.find('/');
    if (slash == std::string_view::npos || path.size() != slash + 12 || path[slash + 5] != '-') return std::nullopt;
    LayerPlace out;
    const auto [end, problem] = std::from_chars(path.data(), path.data() + slash, out.database);
    if (problem != std::errc{} || end != path.data() + slash) return std::nullopt;
    out.bucket = path.substr(slash + 1, 4);
    return out;
}

std::string key_path(std::uint64_t database, std::string_view name) { return fmt::format("{}/{}", database, name); }

}  // namespace holdfast::redis
