#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/library.h"

namespace holdfast::crypto {

namespace {

constexpr std::array<std::uint8_t, 12> nonce{};
enum class Way : int { open = 0, seal = 1 };

// AES-256-GCM, again and again in one context: with the cipher fetched once and its tag read through a
// parameter list made once, a short message costs 0.5 us instead of several.
class Gcm {
public:
    explicit Gcm(Way way) : way_(way) {
        must(context_ == nullptr ? 0 : 1, "make a cipher context");
        must(EVP_CipherInit_ex2(context_.get(), cipher(), nullptr, nullptr, static_cast<int>(way), nullptr),
             "set up AES-256-GCM");
    }
    Gcm(const Gcm&) = delete;
    Gcm& operator=(const Gcm&) = delete;

    // A key of nullptr keeps the one of before.
    void begin(const std::uint8_t* key) {
        must(EVP_CipherInit_ex2(context_.get(), nullptr, key, nonce.data(), static_cast<int>(way_), nullptr),
             "set an AES key");
    }
    void associate(ByteView bytes) { update(nullptr, bytes); }
    void update(std::uint8_t* out, ByteView bytes) {
        // OpenSSL counts in int.
        constexpr std::size_t step_max = std::size_t{1} << 30;
        while (!bytes.empty()) {
            const ByteView step = bytes.first(std::min(bytes.size(), step_max));
            int written = 0;
            must(EVP_CipherUpdate(context_.get(), out, &written, step.data(), static_cast<int>(step.size())),
                 "encipher");
            if (out != nullptr) out += step.size();
            bytes = bytes.subspan(step.size());
        }
    }
    void finish_seal(std::uint8_t* tag) {
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        must(EVP_CipherFinal_ex(context_.get(), rest.data(), &written), "finish AES-256-GCM");
        must(EVP_CIPHER_CTX_get_params(context_.get(), tag_parameters_.data()), "read the tag");
        std::copy(tag_.begin(), tag_.end(), tag);
    }
    bool finish_open(ByteView tag) {
        std::copy(tag.begin(), tag.end(), tag_.begin());
        must(EVP_CIPHER_CTX_set_params(context_.get(), tag_parameters_.data()), "set the tag");
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        return EVP_CipherFinal_ex(context_.get(), rest.data(), &written) == 1;
    }

private:
    static const EVP_CIPHER* cipher() {
        static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
        if (fetched == nullptr) throw Error{Code::internal, "this OpenSSL has no AES-256-GCM"};
        return fetched;
    }
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
    };

    const Way way_;
    std::unique_ptr<EVP_CIPHER_CTX, Free> context_{EVP_CIPHER_CTX_new()};
    std::array<std::uint8_t, tag_bytes> tag_{};
    std::array<OSSL_PARAM, 2> tag_parameters_{
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag_.data(), tag_.size()),
        OSSL_PARAM_construct_end()};
};

void seal_with(Gcm& gcm, const std::uint8_t* key, ByteView aad, ByteView plain, Bytes& out) {
    const std::size_t at = out.size();
    out.resize(at + plain.size() + tag_bytes);
    gcm.begin(key);
    gcm.associate(aad);
    gcm.update(out.data() + at, plain);
    gcm.finish_seal(out.data() + at + plain.size());
}

bool open_with(Gcm& gcm, const std::uint8_t* key, ByteView aad, ByteView sealed, Bytes& out) {
    if (sealed.size() < tag_bytes) return out.clear(), false;
    const std::size_t size = sealed.size() - tag_bytes;
    out.resize(size);
    gcm.begin(key);
    gcm.associate(aad);
    gcm.update(out.data(), sealed.first(size));
    if (!gcm.finish_open(sealed.last(tag_bytes))) return out.clear(), false;
    return true;
}

}  // namespace

struct ChunkCipher::Impl {
    explicit Impl(const Secret& section_key) : expand(section_key.reveal()) {}
    // HKDF-Expand of 32 bytes is one HMAC.
    void set_chunk_key(ByteView chunk_info) {
        constexpr std::uint8_t block_number = 1;
        chunk_key = expand({chunk_info, ByteView{&block_number, 1}});
    }
    ~Impl() { explicit_bzero(chunk_key.data(), chunk_key.size()); }

    const HmacKey expand;
    Digest chunk_key{};
    Gcm sealing{Way::seal};
    Gcm opening{Way::open};
};

ChunkCipher::ChunkCipher(const Secret& section_key) {
    check_size(section_key, "section key");
    impl_ = std::make_unique<Impl>(section_key);
}
ChunkCipher::~ChunkCipher() = default;

void ChunkCipher::seal(ByteView chunk_info, ByteView aad, ByteView plain, Bytes& out) {
    impl_->set_chunk_key(chunk_info);
    seal_with(impl_->sealing, impl_->chunk_key.data(), aad, plain, out);
}

bool ChunkCipher::open(ByteView chunk_info, ByteView aad, ByteView sealed, Bytes& out) {
    impl_->set_chunk_key(chunk_info);
    return open_with(impl_->opening, impl_->chunk_key.data(), aad, sealed, out);
}

Bytes seal(const Secret& key, ByteView aad, ByteView plain) {
    check_size(key, "key");
    Bytes out;
    Gcm gcm(Way::seal);
    seal_with(gcm, key.reveal().data(), aad, plain, out);
    return out;
}

std::optional<Bytes> open(const Secret& key, ByteView aad, ByteView sealed) {
    check_size(key, "key");
    Bytes out;
    Gcm gcm(Way::open);
    if (!open_with(gcm, key.reveal().data(), aad, sealed, out)) return std::nullopt;
    return out;
}

struct Fingerprint::Impl {
    Gcm gcm{Way::seal};
};

Fingerprint::Fingerprint(const Secret& key) : impl_(std::make_unique<Impl>()) {
    check_size(key, "fingerprint key");
    impl_->gcm.begin(key.reveal().data());
}
Fingerprint::~Fingerprint() = default;

std::array<std::uint8_t, 16> Fingerprint::operator()(ByteView bytes) {
    std::array<std::uint8_t, tag_bytes> tag;
    impl_->gcm.begin(nullptr);
    impl_->gcm.associate(bytes);
    impl_->gcm.finish_seal(tag.data());
    return tag;
}

}  // namespace holdfast::crypto
