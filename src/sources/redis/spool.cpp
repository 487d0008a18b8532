#include "sources/redis/spool.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "crypto/crypto.h"

namespace holdfast::redis {

namespace {

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t give_back_bytes = 16 * 1024 * 1024;

std::string spool_folder() {
    const char* const given = std::getenv("TMPDIR");
    return given != nullptr && *given != '\0' ? given : "/var/tmp";
}

Fd open_unnamed(const std::string& folder) {
    Fd out(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (out) return out;
    std::string name = folder + "/holdfast-spool-XXXXXX";
    out = Fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!out)
        throw Error{errno_code(errno, Code::failed), "a spool cannot be made in {}: {}", folder, errno_text(errno)};
    ::unlink(name.c_str());
    return out;
}

std::unique_ptr<const crypto::StreamCipher> fresh_cipher(World& world) {
    return std::make_unique<const crypto::StreamCipher>(Secret(world.random.array<crypto::key_bytes>()));
}

}  // namespace

Spool::Spool(World& world) : cipher_(fresh_cipher(world)), file_(open_unnamed(spool_folder())) {}

void Spool::clear(World& world) {
    cipher_ = fresh_cipher(world);
    size_.store(0, std::memory_order_release);
    forgotten_ = 0;
}

std::uint64_t Spool::room() const {
    struct statvfs info {};
    if (::fstatvfs(file_.get(), &info) != 0) return 0;
    return std::uint64_t{info.f_bavail} * info.f_frsize;
}

std::uint64_t Spool::append(ByteView bytes) {
    const std::uint64_t offset = size_.load(std::memory_order_relaxed);
    write(offset, bytes);
    size_.store(offset + bytes.size(), std::memory_order_release);
    return offset;
}

std::uint64_t Spool::reserve(std::uint64_t bytes) {
    const std::uint64_t offset = (size_.load(std::memory_order_relaxed) + page_bytes - 1) / page_bytes * page_bytes;
    size_.store(offset + bytes, std::memory_order_release);
    return offset;
}

void Spool::write(std::uint64_t offset, ByteView bytes) {
    sealed_.resize(bytes.size());
    cipher_->apply(offset, bytes, sealed_.data());
    write_all_at(file_.get(), sealed_, offset, "the spool");
}

void Spool::read(std::uint64_t offset, MutableByteView into) const {
    std::size_t done = 0;
    while (done < into.size()) {
        const ssize_t got =
            ::pread(file_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            throw Error{Code::failed, "the spool cannot be read: {}", got == 0 ? "it is too short" : errno_text(errno)};
        done += static_cast<std::size_t>(got);
    }
    cipher_->apply(offset, into, into.data());
}

void Spool::forget_before(std::uint64_t offset) {
    if (offset < forgotten_ + give_back_bytes) return;
    ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(forgotten_),
                static_cast<off_t>(offset - forgotten_));
    forgotten_ = offset;
}

}  // namespace holdfast::redis
