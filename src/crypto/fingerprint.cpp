#include <strings.h>

#include <memory>

#include "crypto/crypto.h"
#include "crypto/library.h"
#include "crypto/multi_buffer.h"

namespace holdfast::crypto {

#ifdef HF_HAS_IPSEC_MB

// A call costs some 50 ns, where one of OpenSSL costs 500: contents are often short.
struct Fingerprint::Impl {
    explicit Impl(const Secret& secret) {
        check_size(secret, "fingerprint key");
        IMB_AES256_GCM_PRE(multi_buffer(), secret.reveal().data(), &key);
    }
    ~Impl() { explicit_bzero(&key, sizeof key); }
    std::array<std::uint8_t, tag_bytes> operator()(ByteView bytes) {
        constexpr std::array<std::uint8_t, 12> nonce{};
        std::array<std::uint8_t, tag_bytes> tag;
        const IMB_MGR* const manager = multi_buffer();
        IMB_AES256_GMAC_INIT(manager, &key, &context, nonce.data(), nonce.size());
        if (!bytes.empty()) IMB_AES256_GMAC_UPDATE(manager, &key, &context, bytes.data(), bytes.size());
        IMB_AES256_GMAC_FINALIZE(manager, &key, &context, tag.data(), tag.size());
        return tag;
    }

    alignas(64) gcm_key_data key{};
    gcm_context_data context{};
};

#else

struct Fingerprint::Impl {
    explicit Impl(const Secret& secret) : key(secret) { check_size(secret, "fingerprint key"); }
    std::array<std::uint8_t, tag_bytes> operator()(ByteView bytes) const {
        std::array<std::uint8_t, tag_bytes> tag;
        std::ranges::copy(seal(key, bytes, {}), tag.begin());  // of nothing: the tag alone
        return tag;
    }

    const Secret key;
};

#endif

Fingerprint::Fingerprint(const Secret& key) : impl_(std::make_unique<Impl>(key)) {}
Fingerprint::~Fingerprint() = default;

std::array<std::uint8_t, 16> Fingerprint::operator()(ByteView bytes) { return (*impl_)(bytes); }

}  // namespace holdfast::crypto
