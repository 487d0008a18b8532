// crypto/crypto.h: every cryptographic operation of holdfast, on OpenSSL and libsodium.
//
// Shape    keys are Secret of 32 bytes; digests and tags fixed arrays
// Errors   open() and verify() answer; corrupt for a cost or public key that makes no sense; internal for a
//          key of the wrong size or when a library refuses what must work
// Threads  free functions from any thread; an object from one thread at a time unless it says const and
//          thread-safe
// Source   RFC 5869, 5116, 7748, 8032, 9106; doc/format/crypto.md says how they are put together
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/world.h"

namespace holdfast::crypto {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t tag_bytes = 16;
using Digest = std::array<std::uint8_t, 32>;

Digest sha256(ByteView bytes);
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;
    void update(ByteView bytes);
    Digest finish();  // once

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// HKDF-SHA-256: `info` names the purpose. At most 8160 bytes.
Secret derive(ByteView secret, ByteView salt, std::string_view info, std::size_t bytes = key_bytes);

// Numbers are part of the format. `fastest_id_suite` measures each for a few milliseconds.
enum class IdSuite : std::uint8_t { hmac_sha256 = 1, blake2b = 2, hmac_sha256_lanes = 3 };
inline constexpr std::array id_suites{IdSuite::hmac_sha256, IdSuite::blake2b, IdSuite::hmac_sha256_lanes};
IdSuite fastest_id_suite();
// Keyed, collision-resistant id of a chunk. Thread-safe; copies share one immutable key.
class IdKey {
public:
    IdKey(IdSuite suite, const Secret& key);
    Digest operator()(ByteView bytes) const;
    // Of all three with their lengths, under a key of its own: never the id of a chunk, whatever that holds.
    Digest operator()(std::string_view kind, ByteView first, ByteView second) const;

private:
    struct Impl;
    std::shared_ptr<const Impl> impl_;
};

// Section cipher: chunk key = HKDF-Expand(section key, id ‖ codec ‖ counter), AES-256-GCM, nonce 0. A cloned
// machine can therefore only repeat identical ciphertext. The associated data binds what `aad` holds.
class ChunkCipher {
public:
    explicit ChunkCipher(const Secret& section_key);
    ~ChunkCipher();
    ChunkCipher(const ChunkCipher&) = delete;
    ChunkCipher& operator=(const ChunkCipher&) = delete;
    // Appends plain.size() + tag_bytes bytes to `out`.
    void seal(ByteView chunk_info, ByteView aad, ByteView plain, Bytes& out);
    // Replaces `out` by sealed.size() - tag_bytes bytes; false, and nothing in `out`, when it does not
    // authenticate.
    bool open(ByteView chunk_info, ByteView aad, ByteView sealed, Bytes& out);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// AES-256-GCM with nonce 0 and a key that is used once.
Bytes seal(const Secret& key, ByteView aad, ByteView plain);  // key must never seal twice
std::optional<Bytes> open(const Secret& key, ByteView aad, ByteView sealed);

// Fast keyed universal fingerprint (GMAC with a fixed nonce): finds equal contents within one session. Its
// value never leaves the process. One object a thread.
class Fingerprint {
public:
    explicit Fingerprint(const Secret& key);
    ~Fingerprint();
    Fingerprint(const Fingerprint&) = delete;
    Fingerprint& operator=(const Fingerprint&) = delete;
    std::array<std::uint8_t, 16> operator()(ByteView bytes);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// SipHash-2-4 under a secret key: tags of paths, versions and tree keys.
std::uint64_t tag64(const Secret& key, ByteView bytes);  // key: 16 bytes or more, first 16 count

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

class SigningKey {  // Ed25519
public:
    static SigningKey generate(Random& random);
    explicit SigningKey(const Secret& seed);
    const PublicKey& public_key() const { return public_; }
    const Secret& seed() const { return seed_; }
    Signature sign(ByteView message) const;

private:
    Secret seed_;
    Secret expanded_;
    PublicKey public_{};
};
bool verify(const PublicKey& signer, ByteView message, const Signature& signature);

class BoxKey {  // X25519: who holds it opens what was sealed to its public key
public:
    static BoxKey generate(Random& random);
    explicit BoxKey(const Secret& scalar);
    const PublicKey& public_key() const { return public_; }
    const Secret& scalar() const { return scalar_; }
    // `info` must be what was given to seal_to().
    std::optional<Secret> open(std::string_view info, ByteView sealed) const;

private:
    Secret scalar_;
    PublicKey public_{};
};
// Anonymous: says nothing of who sealed it. Ephemeral public key, then the payload sealed under HKDF(shared
// secret, salt = both public keys, info): payload.size() + 48 bytes.
Bytes seal_to(const PublicKey& recipient, std::string_view info, ByteView payload, Random& random);

struct Argon2Cost {
    std::uint32_t memory_kib = 64 * 1024;
    std::uint32_t passes = 3;
};
constexpr std::uint32_t argon2_memory_kib_max = 1024 * 1024;
constexpr std::uint32_t argon2_passes_max = 64;
// 32 bytes; salt of 16. A cost comes from a slot that anyone may have written: corrupt when outside the
// limits.
Secret argon2id(ByteView password, ByteView salt, Argon2Cost cost);

}  // namespace holdfast::crypto
