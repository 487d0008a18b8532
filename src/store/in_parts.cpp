#include "store/in_parts.h"

#include <algorithm>
#include <vector>

#include "store/read_many.h"

namespace holdfast {

std::optional<Bytes> ReadInParts::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    const std::size_t count = parts_of(bytes);
    if (count < 2) return inner().read_range(name, offset, bytes);
    const std::size_t part_bytes = (bytes + count - 1) / count;
    std::vector<std::optional<Bytes>> parts(count);
    for_each_number(inner(), count, [&](std::size_t i) {
        const std::size_t begin = i * part_bytes;
        parts[i] = inner().read_range(name, offset + begin, std::min(part_bytes, bytes - begin));
    });
    std::size_t there = 0;
    for (const auto& part : parts) {
        if (!part) return std::nullopt;  // it may have been removed in between
        there += part->size();
    }
    Bytes out = std::move(*parts.front());
    out.reserve(there);
    // An object that ends in one part has none of the next.
    for (std::size_t i = 1; i < count && out.size() == i * part_bytes; ++i) {
        append(out, *parts[i]);
        parts[i].reset();
    }
    return out;
}

std::size_t ReadInParts::parts_of(std::size_t bytes) const {
    if (connection_speed().value_or(slow_below) >= slow_below) return 1;
    return std::clamp<std::size_t>(bytes / part_bytes_min, 1, parts_max);
}

}  // namespace holdfast
