// sources/redis/rdb_input.h: the bytes of an RDB file on their way through the parser: checksum, and what is recorded.
//
// Errors   corrupt when the bytes end too early; what the reading function throws
// Threads  one
// Limits   a buffer of buffer_bytes; view() of more than that copies
#pragma once

#include <algorithm>
#include <functional>
#include <string>

#include "base/bytes.h"

namespace holdfast::redis {

class RdbInput {
public:
    static constexpr std::size_t buffer_bytes = 256 * 1024;
    // Some of the bytes that follow; 0 at the end.
    using Read = std::function<std::size_t(MutableByteView)>;
    using Piece = std::function<void(ByteView)>;

    explicit RdbInput(Read read) : read_(std::move(read)), buffer_(buffer_bytes) {}

    std::uint8_t u8() {
        if (at_ == end_) refill();
        return buffer_[at_++];
    }
    std::uint64_t little_endian(std::size_t bytes);
    std::uint64_t big_endian(std::size_t bytes);
    // Valid until the next call. Claims of length are believed piece by piece only, so that none asks for all memory.
    ByteView view(std::size_t bytes) {
        if (bytes > end_ - at_) return gathered(bytes);
        at_ += bytes;
        return ByteView(buffer_).subspan(at_ - bytes, bytes);
    }
    // For what is unpacked of it; keeps its memory.
    Bytes& scratch() { return scratch_; }
    template <class Piece>
    void stream(std::uint64_t bytes, const Piece& piece) {
        while (bytes > 0) {
            if (at_ == end_) refill();
            const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, end_ - at_));
            at_ += some;
            bytes -= some;
            piece(ByteView(buffer_).subspan(at_ - some, some));
        }
    }
    // True: nothing follows. Looks ahead.
    bool at_end();

    // What is read until end_record() goes to `sink` too.
    void begin_record(Piece sink);
    void end_record();

    std::uint64_t checksum();  // of all that was read so far
    std::uint64_t position() const { return base_ + at_; }

private:
    void refill();
    void settle();  // checksum of what was read
    void give();    // and record
    ByteView gathered(std::size_t bytes);

    const Read read_;
    Bytes buffer_;
    std::size_t at_ = 0;
    std::size_t end_ = 0;
    std::size_t settled_ = 0;
    std::size_t given_ = 0;
    std::uint64_t base_ = 0;  // position of the buffer's first byte
    std::uint64_t crc_ = 0;
    Piece sink_;
    Bytes large_;
    Bytes scratch_;
};

}  // namespace holdfast::redis
