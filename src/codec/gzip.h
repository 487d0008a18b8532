// codec/gzip.h: a stream in gzip's format, for files that other programs read.
//
// Errors   failed when there is no memory
// Threads  one
#pragma once

#include <functional>
#include <memory>

#include "base/bytes.h"

namespace holdfast::codec {

class GzipWriter {
public:
    static constexpr int level_max = 9;

    GzipWriter(int level, std::function<void(ByteView)> write);
    ~GzipWriter();
    GzipWriter(const GzipWriter&) = delete;
    GzipWriter& operator=(const GzipWriter&) = delete;

    void add(ByteView bytes);
    void finish();

private:
    struct Stream;
    void deflate_all(ByteView bytes, bool is_last);
    std::unique_ptr<Stream> stream_;
    std::function<void(ByteView)> write_;
};

}  // namespace holdfast::codec
