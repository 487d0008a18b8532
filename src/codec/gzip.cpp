#include "codec/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast::codec {

namespace {

constexpr int window_bits_of_gzip = 15 + 16;
constexpr int memory_level = 8;
constexpr std::size_t room = 64 * 1024;
constexpr std::size_t piece_max = 1024 * 1024 * 1024;

}  // namespace

struct GzipWriter::Stream {
    z_stream z{};
};

GzipWriter::GzipWriter(int level, std::function<void(ByteView)> write)
    : stream_(std::make_unique<Stream>()), write_(std::move(write)) {
    if (deflateInit2(&stream_->z, level, Z_DEFLATED, window_bits_of_gzip, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        throw Error{Code::failed, "gzip cannot begin"};
}

GzipWriter::~GzipWriter() { deflateEnd(&stream_->z); }

void GzipWriter::add(ByteView bytes) {
    while (!bytes.empty()) {
        const ByteView piece = bytes.first(std::min(bytes.size(), piece_max));
        deflate_all(piece, false);
        bytes = bytes.subspan(piece.size());
    }
}

void GzipWriter::finish() { deflate_all({}, true); }

void GzipWriter::deflate_all(ByteView bytes, bool is_last) {
    z_stream& z = stream_->z;
    z.next_in = const_cast<Bytef*>(bytes.data());
    z.avail_in = static_cast<uInt>(bytes.size());
    Bytes out(room);
    do {
        z.next_out = out.data();
        z.avail_out = static_cast<uInt>(out.size());
        deflate(&z, is_last ? Z_FINISH : Z_NO_FLUSH);
        write_(ByteView(out).first(out.size() - z.avail_out));
    } while (z.avail_out == 0);
}

}  // namespace holdfast::codec
