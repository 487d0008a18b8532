// sources/redis/spool.h: a temporary file without a name, sealed under a key that only this process knows.
//
// Shape    append() gives the place, reserve() one to write() to later; read() takes bytes from any place
// Errors   failed, no_space
// Threads  append(), reserve() and write() from one thread; read() from any, of what was written before
// Limits   below TMPDIR or /var/tmp; gone with its object, also after kill -9
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/file.h"
#include "base/world.h"
#include "crypto/stream_cipher.h"

namespace holdfast::redis {

class Spool {
public:
    explicit Spool(World& world);
    std::uint64_t append(ByteView bytes);
    // A place that begins a page. No byte of it is written twice: that would be one key stream for two texts.
    std::uint64_t reserve(std::uint64_t bytes);
    void write(std::uint64_t offset, ByteView bytes);
    void read(std::uint64_t offset, MutableByteView into) const;
    // The bytes up to here are not needed again; their room is given back.
    void forget_before(std::uint64_t offset);
    // Nothing of it is needed again. Its room is kept, and used for what comes.
    void clear(World& world);
    std::uint64_t room() const;  // that the file system still has
    std::uint64_t size() const { return size_.load(std::memory_order_acquire); }

private:
    std::unique_ptr<const crypto::StreamCipher> cipher_;  // each place is written once, or again with what it had
    Fd file_;
    Bytes sealed_;
    std::atomic<std::uint64_t> size_{0};
    std::uint64_t forgotten_ = 0;
};

}  // namespace holdfast::redis
