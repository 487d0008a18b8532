#include "codec/gunzip.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast::codec {

namespace {

constexpr int window_bits_of_gzip = 15 + 16;
constexpr std::size_t room = 64 * 1024;
constexpr std::size_t piece_max = 1024 * 1024 * 1024;

}  // namespace

struct GzipReader::Stream {
    z_stream z{};
    bool is_within = true;  // a member
    Bytes out = Bytes(room);
};

bool is_gzip(ByteView begin) { return begin.size() > 2 && begin[0] == 0x1f && begin[1] == 0x8b && begin[2] == 8; }

GzipReader::GzipReader(std::function<void(ByteView)> write)
    : stream_(std::make_unique<Stream>()), write_(std::move(write)) {
    if (inflateInit2(&stream_->z, window_bits_of_gzip) != Z_OK) throw Error{Code::failed, "gzip cannot begin"};
}

GzipReader::~GzipReader() { inflateEnd(&stream_->z); }

void GzipReader::add(ByteView bytes) {
    z_stream& z = stream_->z;
    while (!bytes.empty()) {
        const ByteView piece = bytes.first(std::min(bytes.size(), piece_max));
        z.next_in = const_cast<Bytef*>(piece.data());
        z.avail_in = static_cast<uInt>(piece.size());
        do {
            if (!stream_->is_within) {
                inflateReset(&z);
                stream_->is_within = true;
            }
            z.next_out = stream_->out.data();
            z.avail_out = static_cast<uInt>(room);
            const int got = inflate(&z, Z_NO_FLUSH);
            if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
                throw Error{Code::corrupt, "the gzip stream is damaged: {}",
                            z.msg == nullptr ? "no reason given" : z.msg};
            if (z.avail_out != room) write_(ByteView(stream_->out).first(room - z.avail_out));
            if (got == Z_STREAM_END) stream_->is_within = false;
        } while (z.avail_in > 0 || z.avail_out == 0);
        bytes = bytes.subspan(piece.size());
    }
}

void GzipReader::finish() {
    if (stream_->is_within) throw Error{Code::corrupt, "the gzip stream ends too early"};
}

}  // namespace holdfast::codec
