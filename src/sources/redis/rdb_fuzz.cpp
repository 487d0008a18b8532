#include "base/error.h"
#include "sources/redis/rdb.h"

void fuzz_redis_rdb(holdfast::ByteView input) {
    using namespace holdfast::redis;
    RdbInput in([&](holdfast::MutableByteView into) {
        const std::size_t bytes = std::min(into.size(), input.size());
        if (bytes > 0) std::memcpy(into.data(), input.data(), bytes);
        input = input.subspan(bytes);
        return bytes;
    });
    RdbSink sink;
    try {
        read_rdb(in, sink);
    } catch (const holdfast::Error&) {
    }
}
