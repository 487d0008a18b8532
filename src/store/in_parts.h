// store/in_parts.h: reads a large range of a far store in parts at the same time, where one connection alone is slow.
//
// A connection carries a window of bytes for each round trip, however wide the way to the store is: many carry many.
//
// Shape    read_range() is one request while a connection carries slow_below or more, then up to parts_max of them
// Units    bytes; bytes a second
// Errors   the first one of a part
// Threads  as store.h; the parts are read by threads of their own
#pragma once

#include "store/decorator.h"

namespace holdfast {

class ReadInParts final : public StoreDecorator {
public:
    using StoreDecorator::StoreDecorator;

    static constexpr std::size_t parts_max = 4;
    static constexpr std::size_t part_bytes_min = 256 * 1024;
    static constexpr double slow_below = 8e6;  // Store::connection_speed()

    std::optional<Bytes> read_range(std::string_view name, std::uint64_t offset, std::size_t bytes) override;

private:
    std::size_t parts_of(std::size_t bytes) const;
};

}  // namespace holdfast
