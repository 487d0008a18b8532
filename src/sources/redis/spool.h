// sources/redis/spool.h: a temporary file without a name, sealed under a key that only this process knows.
//
// Shape    append() gives the place, reserve() one to write() to later; read() takes bytes from any place
// Errors   failed, no_space
// Threads  append(), reserve() and write() from one thread; read() from any, of what was written before
// Limits   below TMPDIR or /var/tmp; gone with its object, also after kill -9
#pragma once

#include <atomic>
#include <string>

#include "base/bytes.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/world.h"

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
    std::uint64_t room() const;  // that the file system still has
    std::uint64_t size() const { return size_.load(std::memory_order_acquire); }

private:
    void apply(std::uint64_t offset, ByteView in, std::uint8_t* out) const;

    Secret key_;
    Fd file_;
    Bytes sealed_;
    std::atomic<std::uint64_t> size_{0};
    std::uint64_t forgotten_ = 0;
};

}  // namespace holdfast::redis
