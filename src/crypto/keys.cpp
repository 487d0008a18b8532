#include <sodium.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "crypto/crypto.h"
#include "crypto/library.h"

namespace holdfast::crypto {

namespace {

Secret random_secret(Random& random) {
    Secret out = Secret::of_size(key_bytes);
    random.fill(out.writable());
    return out;
}

PublicKey public_of(const Secret& scalar) {
    PublicKey out;
    crypto_scalarmult_curve25519_base(out.data(), scalar.reveal().data());
    return out;
}

// Nothing when `other` is one of the few points that give everyone the same secret.
std::optional<Secret> shared_secret(const Secret& scalar, ByteView other) {
    Secret out = Secret::of_size(key_bytes);
    if (crypto_scalarmult_curve25519(out.writable().data(), scalar.reveal().data(), other.data()) != 0)
        return std::nullopt;
    return out;
}

Secret box_key(const Secret& shared, ByteView ephemeral, const PublicKey& recipient, std::string_view info) {
    std::array<std::uint8_t, 2 * sizeof(PublicKey)> both;
    const auto middle = std::copy(ephemeral.begin(), ephemeral.end(), both.begin());
    std::copy(recipient.begin(), recipient.end(), middle);
    return derive(shared.reveal(), both, info);
}

}  // namespace

SigningKey SigningKey::generate(Random& random) { return SigningKey(random_secret(random)); }

SigningKey::SigningKey(const Secret& seed)
    : seed_(seed), expanded_(Secret::of_size(crypto_sign_ed25519_SECRETKEYBYTES)) {
    check_size(seed, "the seed of a signing key");
    start_sodium();
    crypto_sign_ed25519_seed_keypair(public_.data(), expanded_.writable().data(), seed_.reveal().data());
}

Signature SigningKey::sign(ByteView message) const {
    Signature out;
    crypto_sign_ed25519_detached(out.data(), nullptr, message.data(), message.size(), expanded_.reveal().data());
    return out;
}

bool verify(const PublicKey& signer, ByteView message, const Signature& signature) {
    start_sodium();
    return crypto_sign_ed25519_verify_detached(signature.data(), message.data(), message.size(), signer.data()) == 0;
}

BoxKey BoxKey::generate(Random& random) { return BoxKey(random_secret(random)); }

BoxKey::BoxKey(const Secret& scalar) : scalar_(scalar) {
    check_size(scalar, "the scalar of a box key");
    start_sodium();
    public_ = public_of(scalar_);
}

std::optional<Secret> BoxKey::open(std::string_view info, ByteView sealed) const {
    if (sealed.size() < sizeof(PublicKey) + tag_bytes) return std::nullopt;
    const ByteView ephemeral = sealed.first(sizeof(PublicKey));
    const auto shared = shared_secret(scalar_, ephemeral);
    if (!shared) return std::nullopt;
    auto payload = crypto::open(box_key(*shared, ephemeral, public_, info), {}, sealed.subspan(sizeof(PublicKey)));
    if (!payload) return std::nullopt;
    Secret out(*payload);
    sodium_memzero(payload->data(), payload->size());
    return out;
}

Bytes seal_to(const PublicKey& recipient, std::string_view info, ByteView payload, Random& random) {
    // The payload has a say in the ephemeral key: a cloned machine whose random numbers repeat must not seal
    // two payloads under one key.
    const Secret chance = random_secret(random);
    const BoxKey ephemeral(derive(chance.reveal(), payload, "holdfast box ephemeral"));
    const auto shared = shared_secret(ephemeral.scalar(), recipient);
    if (!shared) throw Error{Code::corrupt, "{} is not the public key of a recipient", to_hex(recipient)};
    const Bytes sealed = seal(box_key(*shared, ephemeral.public_key(), recipient, info), {}, payload);
    Bytes out(ephemeral.public_key().begin(), ephemeral.public_key().end());
    out.insert(out.end(), sealed.begin(), sealed.end());
    return out;
}

}  // namespace holdfast::crypto
