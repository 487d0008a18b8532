#include "sources/redis/spool.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <openssl/evp.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t block_bytes = 16;
constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t give_back_bytes = 16 * 1024 * 1024;

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

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

}  // namespace

Spool::Spool(World& world) : key_(Secret::of_size(32)), file_(open_unnamed(spool_folder())) {
    world.random.fill(key_.writable());
}

std::uint64_t Spool::room() const {
    struct statvfs info {};
    if (::fstatvfs(file_.get(), &info) != 0) return 0;
    return std::uint64_t{info.f_bavail} * info.f_frsize;
}

// AES-256 in counter mode, so that any place can be read by itself. Each place is written once, or again with what it had.
void Spool::apply(std::uint64_t offset, ByteView in, std::uint8_t* out) const {
    std::array<std::uint8_t, block_bytes> counter{};
    std::uint64_t block = offset / block_bytes;
    for (std::size_t i = block_bytes; i-- > 8; block >>= 8) counter[i] = static_cast<std::uint8_t>(block);
    const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
    int done = 0;
    std::array<std::uint8_t, block_bytes> skipped{};
    const auto lead = static_cast<int>(offset % block_bytes);
    bool good = context && EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, key_.reveal().data(),
                                              counter.data()) == 1;
    if (good && lead > 0) good = EVP_EncryptUpdate(context.get(), skipped.data(), &done, skipped.data(), lead) == 1;
    constexpr std::size_t step = 1 << 30;
    for (std::size_t at = 0; good && at < in.size(); at += step)
        good = EVP_EncryptUpdate(context.get(), out + at, &done, in.data() + at,
                                 static_cast<int>(std::min(step, in.size() - at))) == 1;
    if (!good) throw Error{Code::internal, "OpenSSL gives no AES-256-CTR"};
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
    apply(offset, bytes, sealed_.data());
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
    apply(offset, into, into.data());
}

void Spool::forget_before(std::uint64_t offset) {
    if (offset < forgotten_ + give_back_bytes) return;
    ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(forgotten_),
                static_cast<off_t>(offset - forgotten_));
    forgotten_ = offset;
}

}  // namespace holdfast::redis
