// codec/gunzip.h: reads what gzip and its like wrote, piece by piece.
//
// Shape    add() as bytes come, finish() at their end; members that follow each other are one stream
// Errors   corrupt when it is no gzip stream, is damaged or ends too early
// Threads  one
#pragma once

#include <functional>
#include <memory>

#include "base/bytes.h"

namespace holdfast::codec {

bool is_gzip(ByteView begin);

class GzipReader {
public:
    explicit GzipReader(std::function<void(ByteView)> write);
    ~GzipReader();
    GzipReader(const GzipReader&) = delete;
    GzipReader& operator=(const GzipReader&) = delete;

    void add(ByteView bytes);
    void finish();

private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
    std::function<void(ByteView)> write_;
};

}  // namespace holdfast::codec
