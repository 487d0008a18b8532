#include "sources/redis/rdb_input.h"

#include "base/error.h"
#include "sources/redis/crc64.h"

namespace holdfast::redis {

void RdbInput::settle() {
    crc_ = crc64(crc_, ByteView(buffer_).subspan(settled_, at_ - settled_));
    settled_ = at_;
}

void RdbInput::give() {
    if (sink_ && at_ > given_) sink_(ByteView(buffer_).subspan(given_, at_ - given_));
    given_ = at_;
}

void RdbInput::refill() {
    settle();
    give();
    base_ += at_;
    at_ = settled_ = given_ = end_ = 0;
    end_ = read_(buffer_);
    if (end_ == 0) throw Error{Code::corrupt, "the RDB data ends in the middle, after {} bytes", base_};
}

bool RdbInput::at_end() {
    if (at_ < end_) return false;
    settle();
    give();
    base_ += at_;
    at_ = settled_ = given_ = 0;
    end_ = read_(buffer_);
    return end_ == 0;
}

std::uint64_t RdbInput::little_endian(std::size_t bytes) {
    const ByteView in = view(bytes);
    std::uint64_t out = 0;
    for (std::size_t i = bytes; i-- > 0;) out = out << 8 | in[i];
    return out;
}

std::uint64_t RdbInput::big_endian(std::size_t bytes) {
    const ByteView in = view(bytes);
    std::uint64_t out = 0;
    for (const std::uint8_t byte : in) out = out << 8 | byte;
    return out;
}

ByteView RdbInput::gathered(std::size_t bytes) {
    large_.clear();
    stream(bytes, [&](ByteView piece) { append(large_, piece); });
    return large_;
}

void RdbInput::begin_record(Piece sink) {
    given_ = at_;
    sink_ = std::move(sink);
}

void RdbInput::end_record() {
    give();
    sink_ = nullptr;
}

std::uint64_t RdbInput::checksum() {
    settle();
    return crc_;
}

}  // namespace holdfast::redis
