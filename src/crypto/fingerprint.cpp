#include <algorithm>

#include "crypto/gcm.h"
#include "crypto/library.h"
#include "crypto/multi_buffer.h"

namespace holdfast::crypto {

// A call of libipsec-mb costs some 50 ns, where one of OpenSSL costs 500: contents are often short.
struct Fingerprint::Impl {
    explicit Impl(const Secret& secret) : key(secret) {
        check_size(key, "fingerprint key");
#ifdef HF_HAS_IPSEC_MB
        if (IMB_MGR* const library = multi_buffer()) {
            IMB_AES256_GCM_PRE(library, key.reveal().data(), &wide_key);
            return;
        }
#endif
        gcm = make_openssl_gcm();
    }
    std::array<std::uint8_t, tag_bytes> operator()(ByteView bytes) {
        std::array<std::uint8_t, tag_bytes> tag;
#ifdef HF_HAS_IPSEC_MB
        if (const IMB_MGR* const library = multi_buffer()) {
            constexpr std::array<std::uint8_t, 12> nonce{};
            IMB_AES256_GMAC_INIT(library, &wide_key, &context, nonce.data(), nonce.size());
            if (!bytes.empty()) IMB_AES256_GMAC_UPDATE(library, &wide_key, &context, bytes.data(), bytes.size());
            IMB_AES256_GMAC_FINALIZE(library, &wide_key, &context, tag.data(), tag.size());
            return tag;
        }
#endif
        sealed.clear();
        gcm->seal(key.reveal().data(), bytes, {}, sealed);
        std::ranges::copy(sealed, tag.begin());
        return tag;
    }

    const Secret key;
    std::unique_ptr<Gcm> gcm;  // null where libipsec-mb works
    Bytes sealed;              // of nothing: the tag alone
#ifdef HF_HAS_IPSEC_MB
    ~Impl() { explicit_bzero(&wide_key, sizeof wide_key); }
    alignas(64) gcm_key_data wide_key{};
    alignas(64) gcm_context_data context{};
#endif
};

Fingerprint::Fingerprint(const Secret& key) : impl_(std::make_unique<Impl>(key)) {}
Fingerprint::~Fingerprint() = default;

std::array<std::uint8_t, 16> Fingerprint::operator()(ByteView bytes) { return (*impl_)(bytes); }

}  // namespace holdfast::crypto
