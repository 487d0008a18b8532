#include "store/in_parts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "store/read_many.h"

namespace holdfast {

std::optional<Bytes> ReadInParts::read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    const std::size_t count = parts_of(bytes);
    if (count < 2) return timed(name, offset, bytes);
    const std::size_t part_bytes = (bytes + count - 1) / count;
    std::vector<std::optional<Bytes>> parts(count);
    for_each_number(inner(), count, [&](std::size_t i) {
        const std::size_t begin = i * part_bytes;
        parts[i] = timed(name, offset + begin, std::min(part_bytes, bytes - begin));
    });
    std::optional<Bytes> out = std::move(parts.front());
    if (!out) return std::nullopt;
    // An object that ends in one part has none of the next.
    out->reserve(bytes);
    for (std::size_t i = 1; i < count && out->size() == i * part_bytes; ++i) {
        const std::optional<Bytes> part = std::exchange(parts[i], {});
        if (!part) return std::nullopt;
        append(*out, *part);
    }
    return out;
}

std::optional<Bytes> ReadInParts::timed(std::string_view name, std::uint64_t offset, std::size_t bytes) {
    const Nanoseconds began = clock_.steady();
    auto range = inner().read_range(name, offset, bytes);
    if (!range || range->size() < telling_bytes_min) return range;
    const auto took = static_cast<double>(std::max<Nanoseconds>(1, clock_.steady() - began));
    const double speed = static_cast<double>(range->size()) * static_cast<double>(one_second) / took;
    const std::lock_guard lock(mutex_);
    speed_ = (3 * speed_.value_or(speed) + speed) / 4;
    return range;
}

std::size_t ReadInParts::parts_of(std::size_t bytes) const {
    if (!traits().is_remote) return 1;
    const std::lock_guard lock(mutex_);
    return speed_ && *speed_ < slow_below ? std::clamp<std::size_t>(bytes / part_bytes_min, 1, parts_max) : 1;
}

}  // namespace holdfast
