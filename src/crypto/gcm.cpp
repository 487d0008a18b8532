#include "crypto/gcm.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include <algorithm>

#include "base/error.h"
#include "crypto/library.h"
#include "crypto/multi_buffer.h"

namespace holdfast::crypto {

namespace {

constexpr std::array<std::uint8_t, 12> nonce{};

#ifdef HF_HAS_IPSEC_MB

class WideGcm final : public Gcm {
public:
    ~WideGcm() override {
        explicit_bzero(&key_, sizeof key_);
        explicit_bzero(&context_, sizeof context_);
    }

private:
    void seal_into(const std::uint8_t* key, ByteView aad, ByteView plain, std::uint8_t* out,
                   std::uint8_t* tag) override {
        IMB_MGR* const library = multi_buffer();
        IMB_AES256_GCM_PRE(library, key, &key_);
        IMB_AES256_GCM_ENC(library, &key_, &context_, out, plain.data(), plain.size(), nonce.data(), aad.data(),
                           aad.size(), tag, tag_bytes);
        check(library);
    }
    bool open_into(const std::uint8_t* key, ByteView aad, ByteView sealed, ByteView tag, std::uint8_t* out) override {
        std::array<std::uint8_t, tag_bytes> found{};
        IMB_MGR* const library = multi_buffer();
        IMB_AES256_GCM_PRE(library, key, &key_);
        IMB_AES256_GCM_DEC(library, &key_, &context_, out, sealed.data(), sealed.size(), nonce.data(), aad.data(),
                           aad.size(), found.data(), found.size());
        check(library);
        return sodium_memcmp(found.data(), tag.data(), found.size()) == 0;
    }
    static void check(IMB_MGR* library) {
        const int problem = imb_get_errno(library);
        if (problem != 0) throw Error{Code::internal, "AES-256-GCM stopped: {}", imb_get_strerror(problem)};
    }

    alignas(64) gcm_key_data key_{};
    alignas(64) gcm_context_data context_{};
};

#endif

// With the cipher fetched once and its tag read through a parameter list made once, a short message costs 0.5 us instead
// of several.
class OpenSslGcm final : public Gcm {
    enum class Way : int { open = 0, seal = 1 };

    void seal_into(const std::uint8_t* key, ByteView aad, ByteView plain, std::uint8_t* out,
                   std::uint8_t* tag) override {
        begin(Way::seal, key, aad, plain, out);
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        must(EVP_CipherFinal_ex(context_.get(), rest.data(), &written), "finish AES-256-GCM");
        must(EVP_CIPHER_CTX_get_params(context_.get(), tag_parameters_.data()), "read the tag");
        std::ranges::copy(tag_, tag);
    }
    bool open_into(const std::uint8_t* key, ByteView aad, ByteView sealed, ByteView tag, std::uint8_t* out) override {
        begin(Way::open, key, aad, sealed, out);
        std::ranges::copy(tag, tag_.begin());
        must(EVP_CIPHER_CTX_set_params(context_.get(), tag_parameters_.data()), "set the tag");
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        return EVP_CipherFinal_ex(context_.get(), rest.data(), &written) == 1;
    }
    void begin(Way way, const std::uint8_t* key, ByteView aad, ByteView in, std::uint8_t* out) {
        must(EVP_CipherInit_ex2(context_.get(), cipher(), key, nonce.data(), static_cast<int>(way), nullptr),
             "set up AES-256-GCM");
        update(nullptr, aad);
        update(out, in);
    }
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
    static const EVP_CIPHER* cipher() {
        static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
        if (fetched == nullptr) throw Error{Code::internal, "this OpenSSL has no AES-256-GCM"};
        return fetched;
    }
    struct Free {
        void operator()(EVP_CIPHER_CTX* freed) const { EVP_CIPHER_CTX_free(freed); }
    };

    std::unique_ptr<EVP_CIPHER_CTX, Free> context_{EVP_CIPHER_CTX_new()};
    std::array<std::uint8_t, tag_bytes> tag_{};
    std::array<OSSL_PARAM, 2> tag_parameters_{
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag_.data(), tag_.size()),
        OSSL_PARAM_construct_end()};
};

}  // namespace

std::unique_ptr<Gcm> make_openssl_gcm() { return std::make_unique<OpenSslGcm>(); }

std::unique_ptr<Gcm> make_gcm() {
#ifdef HF_HAS_IPSEC_MB
    if (multi_buffer() != nullptr) return std::make_unique<WideGcm>();
#endif
    return make_openssl_gcm();
}

void Gcm::seal(const std::uint8_t* key, ByteView aad, ByteView plain, Bytes& out) {
    const std::size_t at = out.size();
    out.resize(at + plain.size() + tag_bytes);
    seal_into(key, aad, plain, out.data() + at, out.data() + at + plain.size());
}

bool Gcm::open(const std::uint8_t* key, ByteView aad, ByteView sealed, Bytes& out) {
    out.clear();
    if (sealed.size() < tag_bytes) return false;
    const std::size_t size = sealed.size() - tag_bytes;
    out.resize(size);
    if (open_into(key, aad, sealed.first(size), sealed.last(tag_bytes), out.data())) return true;
    out.clear();
    return false;
}

}  // namespace holdfast::crypto
