#include <sodium.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/lanes.h"
#include "crypto/library.h"

namespace holdfast::crypto {

namespace {

std::array<std::uint8_t, 8> length_of(std::size_t bytes) {
    std::array<std::uint8_t, 8> out;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(bytes >> (8 * i));
    return out;
}

Digest blake2b(const Secret& key, std::initializer_list<ByteView> parts) {
    Digest out;
    const ByteView secret = key.reveal();
    crypto_generichash_blake2b_state state;
    crypto_generichash_blake2b_init(&state, secret.data(), secret.size(), out.size());
    for (const ByteView part : parts) crypto_generichash_blake2b_update(&state, part.data(), part.size());
    crypto_generichash_blake2b_final(&state, out.data(), out.size());
    return out;
}

// Only the suite in use is set up.
class SuiteKey {
public:
    SuiteKey(IdSuite suite, const Secret& key) {
        if (suite == IdSuite::blake2b)
            blake_ = key;
        else
            hmac_.emplace(key.reveal());
        if (suite == IdSuite::hmac_sha256_lanes)
            lanes_.emplace(derive(key.reveal(), {}, "holdfast id segment").reveal());
    }
    Digest operator()(ByteView bytes) const {
        if (!hmac_) return blake2b(blake_, {bytes});
        if (!lanes_) return (*hmac_)({bytes});
        Bytes digests;
        digests.reserve((bytes.size() / LaneMac::segment_max + 1) * sizeof(Digest));
        (*lanes_)(bytes, digests);
        return (*hmac_)({length_of(bytes.size()), digests});
    }
    Digest operator()(std::initializer_list<ByteView> parts) const {
        if (!hmac_) return blake2b(blake_, parts);
        if (!lanes_) return (*hmac_)(parts);
        Bytes joined;
        for (const ByteView part : parts) append(joined, part);
        return (*this)(ByteView(joined));
    }

private:
    std::optional<HmacKey> hmac_;
    std::optional<LaneMac> lanes_;
    Secret blake_;
};

Nanoseconds fastest_run(IdSuite suite, ByteView sample) {
    constexpr Nanoseconds long_enough = 2'000'000;
    const IdKey id(suite, Secret::of_size(key_bytes));
    const Clock& clock = system_clock();
    Nanoseconds fastest = std::numeric_limits<Nanoseconds>::max();
    const Nanoseconds begin = clock.steady();
    // The fastest of some runs: a run that another process interrupted says nothing.
    for (Nanoseconds before = begin; before - begin < long_enough;) {
        static_cast<void>(id(sample));
        const Nanoseconds after = clock.steady();
        fastest = std::min(fastest, after - before);
        before = after;
    }
    return fastest;
}

}  // namespace

struct IdKey::Impl {
    Impl(IdSuite suite, const Secret& key)
        : chunk(suite, key), framed(suite, derive(key.reveal(), {}, "holdfast framed id")) {}
    SuiteKey chunk;
    SuiteKey framed;
};

IdKey::IdKey(IdSuite suite, const Secret& key) {
    check_size(key, "id key");
    if (std::ranges::find(id_suites, suite) == id_suites.end())
        throw Error{Code::newer_format, "id suite {} is not one this version knows", static_cast<int>(suite)};
    start_sodium();
    impl_ = std::make_shared<const Impl>(suite, key);
}

Digest IdKey::operator()(ByteView bytes) const { return impl_->chunk(bytes); }

Digest IdKey::operator()(std::string_view kind, ByteView first, ByteView second) const {
    const auto kind_length = length_of(kind.size());
    const auto first_length = length_of(first.size());
    return impl_->framed({kind_length, as_bytes(kind), first_length, first, second});
}

IdSuite fastest_id_suite() {
    const Bytes sample(512 * 1024, 0x5a);
    return *std::ranges::min_element(id_suites, {}, [&](IdSuite suite) { return fastest_run(suite, sample); });
}

std::uint64_t tag64(const Secret& key, ByteView bytes) {
    if (key.size() < crypto_shorthash_siphash24_KEYBYTES)
        throw Error{Code::internal, "a tag key has {} bytes, fewer than {}", key.size(),
                    crypto_shorthash_siphash24_KEYBYTES};
    std::array<std::uint8_t, 8> out;
    crypto_shorthash_siphash24(out.data(), bytes.data(), bytes.size(), key.reveal().data());
    std::uint64_t tag = 0;
    for (std::size_t i = out.size(); i-- > 0;) tag = tag << 8 | out[i];
    return tag;
}

}  // namespace holdfast::crypto
