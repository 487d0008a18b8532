#include "sources/redis/rdb_input.h"

#include <algorithm>

#include "base/error.h"
#include "sources/redis/crc64.h"

namespace holdfast::redis {

void RdbInput::settle() {
    const ByteView passed = ByteView(buffer_).subspan(settled_, at_ - settled_);
    crc_ = crc64(crc_, passed);
    if (sink_ && !passed.empty()) sink_(passed);
    settled_ = at_;
}

void RdbInput::refill() {
    settle();
    base_ += at_;
    at_ = settled_ = end_ = 0;
    end_ = read_(buffer_);
    if (end_ == 0) throw Error{Code::corrupt, "the RDB data ends in the middle, after {} bytes", base_};
}

bool RdbInput::at_end() {
    if (at_ < end_) return false;
    settle();
    base_ += at_;
    at_ = settled_ = 0;
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

ByteView RdbInput::view(std::size_t bytes) {
    if (bytes <= end_ - at_) {
        const ByteView out = ByteView(buffer_).subspan(at_, bytes);
        at_ += bytes;
        return out;
    }
    large_.clear();
    stream(bytes, [&](ByteView piece) { append(large_, piece); });
    return large_;
}

void RdbInput::stream(std::uint64_t bytes, const Piece& piece) {
    while (bytes > 0) {
        if (at_ == end_) refill();
        const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end_ - at_));
        const ByteView out = ByteView(buffer_).subspan(at_, some);
        at_ += some;
        bytes -= some;
        piece(out);
    }
}

void RdbInput::begin_record(Piece sink) {
    settle();
    sink_ = std::move(sink);
}

void RdbInput::end_record() {
    settle();
    sink_ = nullptr;
}

std::uint64_t RdbInput::checksum() {
    settle();
    return crc_;
}

}  // namespace holdfast::redis
