#include "crypto/stream_cipher.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/library.h"
#include "crypto/multi_buffer.h"

namespace holdfast::crypto {

namespace {

constexpr std::size_t block_bytes = 16;
// Both libraries are asked for less at once than would carry beyond the last 32 bits of the counter, or than OpenSSL can count.
constexpr std::uint64_t stretch_bytes = std::uint64_t{1} << 30;

using Block = std::array<std::uint8_t, block_bytes>;

Block counter_of(std::uint64_t block) {
    Block out{};
    for (std::size_t i = block_bytes; i-- > 8; block >>= 8) out[i] = static_cast<std::uint8_t>(block);
    return out;
}

}  // namespace

struct StreamCipher::Impl {
    explicit Impl(const Secret& secret) : key(secret) {
        check_size(key, "stream key");
#ifdef HF_HAS_IPSEC_MB
        if (IMB_MGR* const library = multi_buffer()) {
            std::array<std::uint8_t, 15 * block_bytes> unused{};
            IMB_AES_KEYEXP_256(library, key.reveal().data(), rounds.data(), unused.data());
            explicit_bzero(unused.data(), unused.size());
        }
#endif
    }
    ~Impl() { explicit_bzero(rounds.data(), rounds.size()); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    // From the beginning of a block on.
    void apply(const Block& counter, ByteView in, std::uint8_t* out) const {
#ifdef HF_HAS_IPSEC_MB
        if (IMB_MGR* const library = multi_buffer()) return apply_wide(library, counter, in, out);
#endif
        const std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
        int done = 0;
        must(EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr, key.reveal().data(), counter.data()),
             "set up AES-256-CTR");
        must(EVP_EncryptUpdate(context.get(), out, &done, in.data(), static_cast<int>(in.size())), "encipher");
    }
#ifdef HF_HAS_IPSEC_MB
    void apply_wide(IMB_MGR* library, const Block& counter, ByteView in, std::uint8_t* out) const {
        IMB_JOB job{};
        job.src = in.data();
        job.dst = out;
        job.enc_keys = rounds.data();
        job.iv = counter.data();
        job.iv_len_in_bytes = counter.size();
        job.msg_len_to_cipher_in_bytes = in.size();
        const std::uint32_t done =
            IMB_SUBMIT_CIPHER_BURST(library, &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_256_BYTES);
        if (done != 1 || job.status != IMB_STATUS_COMPLETED)
            throw Error{Code::internal, "AES-256-CTR stopped: {}", imb_get_strerror(imb_get_errno(library))};
    }
#endif
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
    };

    const Secret key;
    alignas(64) std::array<std::uint8_t, 15 * block_bytes> rounds{};
};

StreamCipher::StreamCipher(const Secret& key) : impl_(std::make_unique<const Impl>(key)) {}
StreamCipher::~StreamCipher() = default;

void StreamCipher::apply(std::uint64_t offset, ByteView in, std::uint8_t* out) const {
    if (const std::size_t lead = offset % block_bytes; lead > 0 && !in.empty()) {
        Block block{};
        const std::size_t some = std::min(in.size(), block_bytes - lead);
        std::copy_n(in.data(), some, block.data() + lead);
        impl_->apply(counter_of(offset / block_bytes), block, block.data());
        std::copy_n(block.data() + lead, some, out);
        in = in.subspan(some);
        out += some;
        offset += some;
    }
    while (!in.empty()) {
        const ByteView some = in.first(std::min<std::uint64_t>(in.size(), stretch_bytes - offset % stretch_bytes));
        impl_->apply(counter_of(offset / block_bytes), some, out);
        in = in.subspan(some.size());
        out += some.size();
        offset += some.size();
    }
}

}  // namespace holdfast::crypto
