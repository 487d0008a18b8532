// repo/keys.h: who may do what, and the keys that an unlocked slot gives.
//
// Shape    root key signs the configuration and every credential; a slot holds one signer's secrets, sealed under a
//          passphrase (Argon2id) or a key file (HKDF)
// Errors   wrong_key when no slot opens; corrupt when a chain does not end in the root
// Threads  const and thread-safe once built
// Source   doc/format/keys.md; review.md A1, A5, A10
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "base/world.h"
#include "codec/chunker.h"
#include "crypto/crypto.h"
#include "repo/domains.h"
#include "repo/ids.h"
#include "repo/repository.h"
#include "repo/signed.h"
#include "store/store.h"

namespace holdfast::repo {

std::string_view name_of(Role role);
std::optional<Role> role_named(std::string_view name);

// What a role may do. Everybody with a key sees ids, the index and the sources of what it may open.
enum class Right : std::uint8_t {
    back_up,     // commit snapshots, write journals: writer, full
    read,        // open contents and names, prove, attest: reader, full
    collect,     // forget, prune, hold, say when a snapshot was received: maintainer, full
    administer,  // keys: full
};
bool has(Role role, Right right);

// Public; signed by the root.
struct Credential {
    Role role = Role::full;
    crypto::PublicKey signer{};
    crypto::PublicKey box{};           // the writer's own recipient key: its state is sealed to it
    std::vector<std::string> sources;  // it may back up; empty: all
    std::string domain;
    std::string label;
    Nanoseconds created = 0;
    SignerId id() const { return signer_id_of(signer); }
};
Bytes encode(const Credential& credential, const RepositoryId& repository, const crypto::SigningKey& root);
Credential decode_credential(ByteView bytes, const RepositoryId& repository, const crypto::PublicKey& root);

// Settled at init, signed by the root; the object `config`.
struct Config {
    RepositoryId repository;
    Id<struct FamilyTag, 16> family;  // shared by verbatim copies; bound into every seal
    crypto::PublicKey root{};
    crypto::PublicKey reader{};      // recipient of data and of P parts
    crypto::PublicKey maintainer{};  // recipient of R parts
    crypto::IdSuite id_suite = crypto::IdSuite::hmac_sha256;
    codec::ChunkSizes chunk_sizes;
    std::uint32_t small_file_max = 0;  // files up to this many bytes share chunks
    std::uint32_t pack_bytes = 0;
    Nanoseconds created = 0;
};
constexpr std::uint16_t format_version = 1;
Bytes encode(const Config& config, const crypto::SigningKey& root);
Config decode_config(ByteView bytes);  // newer_format; verified against the root that it names itself

// The same in all domains.
struct SharedKeys {
    Secret index;
    Secret trees;  // leaf boundaries
    Secret state;  // tags of paths and versions
    Secret names;  // tags of hosts
};

struct Secrets {
    crypto::SigningKey signer;
    crypto::BoxKey box;
    std::optional<Secret> root_secret;  // who reads; the two below come from it, and stand in its place
    std::optional<SharedKeys> shared;
    std::optional<DomainKeys> domain;  // a writer's
    std::optional<crypto::SigningKey> root;
    std::optional<crypto::BoxKey> reader;
    std::optional<crypto::BoxKey> maintainer;
};

class Keyring {
public:
    Keyring(Config config, Credential own, Secrets secrets);

    const Config& config() const { return config_; }
    const RepositoryId& repository() const { return config_.repository; }
    const Credential& own() const { return own_; }
    const SignerId& own_id() const { return own_id_; }
    const Secrets& secrets() const { return secrets_; }
    SignerId root_id() const { return signer_id_of(config_.root); }

    // The domain that chunks are stored in from here on: the credential's, or what was chosen.
    const Domain& domain() const;
    // denied: of another domain than this key's, which knows no other; not_found: no key that was added is of this domain.
    void write_in(const std::string& domain);
    const Domains& domains() const { return domains_; }
    const Secret& index_key() const { return shared_.index; }
    const Secret& tree_key() const { return shared_.trees; }
    const Secret& state_key() const { return shared_.state; }
    const Secret& name_key() const { return shared_.names; }

    // Credentials that the root log enrolled.
    void enrol(const Credential& credential);
    const Credential* find(const SignerId& signer) const;
    // The public key of an author, or corrupt. The root may author, too.
    const crypto::PublicKey& author_key(const SignerId& author, std::string_view what) const;
    void verify(const SignedView& view, std::string_view what) const;
    std::vector<Credential> enrolled() const;

    // May this author's fragments be believed when deduplicating (review.md A2)?
    bool trusts_chunks_of(const SignerId& author) const;
    bool may(const SignerId& author, Right right) const;
    bool may_collect(const SignerId& author) const { return may(author, Right::collect); }
    // May this author's snapshots and journals be of that source?
    bool may_back_up(const SignerId& author, std::string_view source) const;
    // denied, in words that say what was wanted, when this key has not that right.
    void require(Right right, std::string_view what) const;

private:
    Config config_;
    Credential own_;
    SignerId own_id_;
    Secrets secrets_;
    Domains domains_;
    std::shared_ptr<const Domain> domain_;
    SharedKeys shared_;
    std::map<SignerId, Credential> enrolled_;
};

// The objects `keys/<signer>-<revision>`.
struct SlotInfo {
    std::string object;
    SignerId signer;
    std::uint64_t revision = 0;
    Unlock::Way way = Unlock::Way::passphrase;
    Credential credential;
    Bytes stored;
    Bytes signed_credential;
};
Bytes encode_slot(const Config& config, ByteView signed_credential, const Secrets& secrets, const Unlock& unlock,
                  Random& random);
// Less what the role has no use for; a writer has the keys of its domain alone.
Secrets secrets_of(Role role, const std::string& domain, Secrets secrets);
struct DamagedSlot {
    std::string object;
    Error why;
};
// A slot that is damaged ends it, or goes to `damaged`: it says nothing about the others.
std::vector<SlotInfo> list_slots(Store& store, const Config& config, std::vector<DamagedSlot>* damaged = nullptr);
struct Unlocked {
    Keyring keys;
    std::string slot;  // its object
};
// Tries every slot that opens this way, `likely` objects before the others are listed. One of version 1 may not say which root
// its maker trusted: then it opens only when `is_known_root` says that this client has seen that of the configuration before.
Unlocked unlock_keyring(Store& store, const Config& config, const Unlock& unlock,
                        const std::vector<std::string>& likely, const std::function<bool()>& is_known_root);

}  // namespace holdfast::repo
