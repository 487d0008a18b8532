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

}  // namespace

#ifdef HF_HAS_IPSEC_MB

struct Gcm::Impl {
    ~Impl() {
        explicit_bzero(&key, sizeof key);
        explicit_bzero(&context, sizeof context);
    }

    void seal(const std::uint8_t* with, ByteView aad, ByteView plain, std::uint8_t* out, std::uint8_t* tag) {
        IMB_MGR* const library = multi_buffer();
        IMB_AES256_GCM_PRE(library, with, &key);
        IMB_AES256_GCM_ENC(library, &key, &context, out, plain.data(), plain.size(), nonce.data(), aad.data(),
                           aad.size(), tag, tag_bytes);
        check(library);
    }
    bool open(const std::uint8_t* with, ByteView aad, ByteView sealed, ByteView tag, std::uint8_t* out) {
        std::array<std::uint8_t, tag_bytes> found{};
        IMB_MGR* const library = multi_buffer();
        IMB_AES256_GCM_PRE(library, with, &key);
        IMB_AES256_GCM_DEC(library, &key, &context, out, sealed.data(), sealed.size(), nonce.data(), aad.data(),
                           aad.size(), found.data(), found.size());
        check(library);
        return sodium_memcmp(found.data(), tag.data(), found.size()) == 0;
    }
    static void check(IMB_MGR* library) {
        const int problem = imb_get_errno(library);
        if (problem != 0) throw Error{Code::internal, "AES-256-GCM stopped: {}", imb_get_strerror(problem)};
    }

    alignas(64) gcm_key_data key{};
    alignas(64) gcm_context_data context{};
};

#else

// With the cipher fetched once and its tag read through a parameter list made once, a short message costs 0.5 us instead
// of several.
struct Gcm::Impl {
    enum class Way : int { open = 0, seal = 1 };

    void seal(const std::uint8_t* with, ByteView aad, ByteView plain, std::uint8_t* out, std::uint8_t* into) {
        begin(Way::seal, with, aad, plain, out);
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        must(EVP_CipherFinal_ex(context.get(), rest.data(), &written), "finish AES-256-GCM");
        must(EVP_CIPHER_CTX_get_params(context.get(), tag_parameters.data()), "read the tag");
        std::ranges::copy(tag, into);
    }
    bool open(const std::uint8_t* with, ByteView aad, ByteView sealed, ByteView said, std::uint8_t* out) {
        begin(Way::open, with, aad, sealed, out);
        std::ranges::copy(said, tag.begin());
        must(EVP_CIPHER_CTX_set_params(context.get(), tag_parameters.data()), "set the tag");
        std::array<std::uint8_t, tag_bytes> rest;
        int written = 0;
        return EVP_CipherFinal_ex(context.get(), rest.data(), &written) == 1;
    }
    void begin(Way way, const std::uint8_t* with, ByteView aad, ByteView in, std::uint8_t* out) {
        must(EVP_CipherInit_ex2(context.get(), cipher(), with, nonce.data(), static_cast<int>(way), nullptr),
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
            must(EVP_CipherUpdate(context.get(), out, &written, step.data(), static_cast<int>(step.size())),
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

    std::unique_ptr<EVP_CIPHER_CTX, Free> context{EVP_CIPHER_CTX_new()};
    std::array<std::uint8_t, tag_bytes> tag{};
    std::array<OSSL_PARAM, 2> tag_parameters{
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag.data(), tag.size()),
        OSSL_PARAM_construct_end()};
};

#endif

Gcm::Gcm() : impl_(std::make_unique<Impl>()) {}
Gcm::~Gcm() = default;

void Gcm::seal(const std::uint8_t* key, ByteView aad, ByteView plain, Bytes& out) {
    const std::size_t at = out.size();
    out.resize(at + plain.size() + tag_bytes);
    impl_->seal(key, aad, plain, out.data() + at, out.data() + at + plain.size());
}

bool Gcm::open(const std::uint8_t* key, ByteView aad, ByteView sealed, Bytes& out) {
    out.clear();
    if (sealed.size() < tag_bytes) return false;
    const std::size_t size = sealed.size() - tag_bytes;
    out.resize(size);
    if (impl_->open(key, aad, sealed.first(size), sealed.last(tag_bytes), out.data())) return true;
    out.clear();
    return false;
}

}  // namespace holdfast::crypto
