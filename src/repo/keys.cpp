#include "repo/keys.h"

#include <algorithm>

#include "base/error.h"
#include "repo/credential_file.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

constexpr std::string_view config_magic = "holdfast";
constexpr std::string_view slot_magic = "HFKS";
constexpr std::uint8_t slot_version = 3;  // of versions 1 and 2: doc/format/keys.md section 4

// Tags of a slot's list; a reader passes over tags that it does not know.
enum class SlotTag : std::uint8_t { way = 1, argon2 = 2, salt = 3, credential = 4, sealed = 5 };

void put(ByteWriter& writer, SlotTag tag, ByteView value) {
    writer.u8(static_cast<std::uint8_t>(tag));
    writer.u32(static_cast<std::uint32_t>(value.size()));
    writer.raw(value);
}

Secret key_for(const Unlock& unlock, ByteView salt, crypto::Argon2Cost cost) {
    if (unlock.way == Unlock::Way::passphrase) return crypto::argon2id(unlock.secret.reveal(), salt, cost);
    if (unlock.secret.size() < 32)
        throw Error{Code::wrong_key, "the key file holds {} bytes, 32 are the least", unlock.secret.size()}.hint(
            "Make one with `head -c 32 /dev/urandom > FILE`.");
    return crypto::derive(unlock.secret.reveal(), salt, "holdfast key file");
}

Bytes slot_context(std::uint8_t version, const RepositoryId& repository, const SignerId& signer) {
    Bytes out = to_bytes(as_bytes("holdfast key slot"));
    if (version > 1) append(out, as_bytes(fmt::format(" {}", version)));
    ByteWriter writer(out);
    writer.raw(repository.view());
    writer.raw(signer.view());
    return out;
}

struct ParsedSlot {
    std::uint8_t version = 0;
    Unlock::Way way = Unlock::Way::passphrase;
    crypto::Argon2Cost cost;
    ByteView salt, credential, sealed;
};

ParsedSlot parse_slot(ByteView bytes, std::string_view what) {
    ByteReader reader(bytes, what);
    if (as_text(reader.raw(slot_magic.size())) != slot_magic) reader.fail("it does not begin as a key slot does");
    ParsedSlot slot;
    slot.version = reader.u8();
    if (slot.version < 1 || slot.version > slot_version)
        reader.fail("it is a key slot of a kind that this version does not know");
    while (!reader.done()) {
        const auto tag = static_cast<SlotTag>(reader.u8());
        const ByteView value = reader.raw(reader.u32());
        ByteReader inner(value, what);
        switch (tag) {
            case SlotTag::way:
                slot.way = inner.u8() == 2 ? Unlock::Way::keyfile : Unlock::Way::passphrase;
                break;
            case SlotTag::argon2:
                slot.cost.memory_kib = inner.u32();
                slot.cost.passes = inner.u32();
                // A hostile store must not be able to ask for all memory or an hour.
                if (slot.cost.memory_kib > crypto::argon2_memory_kib_max ||
                    slot.cost.passes > crypto::argon2_passes_max)
                    reader.fail("its Argon2id cost is out of bounds");
                break;
            case SlotTag::salt:
                slot.salt = value;
                break;
            case SlotTag::credential:
                slot.credential = value;
                break;
            case SlotTag::sealed:
                slot.sealed = value;
                break;
        }
    }
    if (slot.salt.empty() || slot.credential.empty() || slot.sealed.empty()) reader.fail("a part is missing");
    return slot;
}

Bytes encode_secrets(const Secrets& secrets, const crypto::PublicKey& root) {
    Bytes out;
    ByteWriter writer(out);
    writer.raw(root);
    writer.raw(secrets.signer.seed().reveal());
    writer.raw(secrets.box.scalar().reveal());
    const auto optional = [&](const auto& value, const auto& parts_of) {
        writer.u8(value ? 1 : 0);
        if (!value) return;
        for (const Secret* part : parts_of(*value)) writer.raw(part->reveal());
    };
    const auto scalar = [](const crypto::BoxKey& key) { return std::array{&key.scalar()}; };
    optional(secrets.root_secret, [](const Secret& secret) { return std::array{&secret}; });
    optional(secrets.shared, [](const SharedKeys& keys) {
        return std::array{&keys.index, &keys.trees, &keys.state, &keys.names};
    });
    optional(secrets.domain, [](const DomainKeys& keys) {
        return std::array{&keys.chunk_ids, &keys.cuts, &keys.bundles};
    });
    optional(secrets.root, [](const crypto::SigningKey& key) { return std::array{&key.seed()}; });
    optional(secrets.reader, scalar);
    optional(secrets.maintainer, scalar);
    return out;
}

struct Sealed {
    std::optional<crypto::PublicKey> root;  // whom whoever made the slot trusted
    Secrets secrets;
};

Sealed decode_sealed(std::uint8_t version, ByteView bytes) {
    ByteReader reader(bytes, "the secrets of a key slot");
    std::optional<crypto::PublicKey> root;
    if (version > 1) root = reader.array<32>();
    const auto secret = [&] { return Secret(reader.raw(crypto::key_bytes)); };
    const auto is_next = [&] { return reader.u8() == 1; };
    Secrets out{crypto::SigningKey(secret()), crypto::BoxKey(secret()), {}, {}, {}, {}, {}, {}};
    if (version < 3 || is_next()) out.root_secret.emplace(secret());
    if (version >= 3 && is_next()) out.shared = SharedKeys{secret(), secret(), secret(), secret()};
    if (version >= 3 && is_next()) out.domain = DomainKeys{secret(), secret(), secret()};
    if (is_next()) out.root.emplace(secret());
    if (is_next()) out.reader.emplace(secret());
    if (is_next()) out.maintainer.emplace(secret());
    reader.expect_done();
    if (!root && out.root) root = out.root->public_key();
    return {root, std::move(out)};
}

SharedKeys shared_keys(const Secret& root_secret) {
    const auto key = [&](std::string_view purpose) { return crypto::derive(root_secret.reveal(), {}, purpose); };
    return {key("index 1"), key("tree 1"), key("state 1"), key("names 1")};
}

const SharedKeys& shared_of(const Secrets& secrets) {
    if (!secrets.shared) throw Error{Code::corrupt, "a key slot lacks the keys that all share"};
    return *secrets.shared;
}

}  // namespace

std::string_view name_of(Role role) {
    switch (role) {
        case Role::writer:
            return "writer";
        case Role::reader:
            return "reader";
        case Role::maintainer:
            return "maintainer";
        case Role::full:
            return "full";
    }
    return "unknown";
}

std::optional<Role> role_named(std::string_view name) {
    for (const Role role : {Role::writer, Role::reader, Role::maintainer, Role::full})
        if (name_of(role) == name) return role;
    return std::nullopt;
}

bool has(Role role, Right right) {
    if (role == Role::full) return true;
    switch (right) {
        case Right::back_up:
            return role == Role::writer;
        case Right::read:
            return role == Role::reader;
        case Right::collect:
            return role == Role::maintainer;
        case Right::administer:
            return false;
    }
    return false;
}

Bytes encode(const Credential& credential, const RepositoryId& repository, const crypto::SigningKey& root) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(static_cast<std::uint8_t>(credential.role));
    writer.raw(credential.signer);
    writer.raw(credential.box);
    writer.zigzag(credential.created);
    writer.string(credential.label);
    writer.string(credential.domain);
    writer.varint(credential.sources.size());
    for (const std::string& source : credential.sources) writer.string(source);
    return sign(SignedKind::credential, repository, root, payload);
}

Credential decode_credential(ByteView bytes, const RepositoryId& repository, const crypto::PublicKey& root) {
    const SignedView view = parse_signed(bytes, SignedKind::credential, "a credential");
    verify_signed(view, root, repository, "a credential");
    ByteReader reader(view.payload, "a credential");
    Credential out;
    const std::uint8_t role = reader.u8();
    if (role < 1 || role > 4) reader.fail("it names a role that this version does not know");
    out.role = static_cast<Role>(role);
    out.signer = reader.array<32>();
    out.box = reader.array<32>();
    out.created = reader.zigzag();
    out.label = reader.string();
    out.domain = reader.string();
    const std::size_t sources = reader.count(1);
    for (std::size_t i = 0; i < sources; ++i) out.sources.push_back(reader.string());
    return out;
}

Bytes encode(const Config& config, const crypto::SigningKey& root) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.raw(config.root);
    writer.raw(config.family.view());
    writer.raw(config.reader);
    writer.raw(config.maintainer);
    writer.u8(static_cast<std::uint8_t>(config.id_suite));
    writer.u32(config.chunk_sizes.min);
    writer.u32(config.chunk_sizes.mean);
    writer.u32(config.chunk_sizes.max);
    writer.u32(config.small_file_max);
    writer.u32(config.pack_bytes);
    writer.zigzag(config.created);
    Bytes out = to_bytes(as_bytes(config_magic));
    ByteWriter(out).u16(format_version);
    const Bytes envelope = sign(SignedKind::config, config.repository, root, payload);
    append(out, envelope);
    return out;
}

Config decode_config(ByteView bytes) {
    ByteReader outer(bytes, "the object `config`");
    if (as_text(outer.raw(config_magic.size())) != config_magic)
        throw Error{Code::no_repository, "the object `config` is not a holdfast repository's"};
    const std::uint16_t version = outer.u16();
    if (version > format_version)
        throw Error{Code::newer_format, "the repository has format {}, this holdfast knows up to {}", version,
                    format_version}
            .unharmed("the repository was not touched")
            .hint("Use the holdfast that made it, or a newer one.");
    const SignedView view = parse_signed(outer.raw(outer.left()), SignedKind::config, "the object `config`");
    ByteReader reader(view.payload, "the object `config`");
    Config out;
    out.repository = view.repository;
    out.root = reader.array<32>();
    out.family = decltype(out.family)::from(reader.raw(16));
    out.reader = reader.array<32>();
    out.maintainer = reader.array<32>();
    out.id_suite = static_cast<crypto::IdSuite>(reader.u8());
    if (std::ranges::find(crypto::id_suites, out.id_suite) == crypto::id_suites.end())
        throw Error{Code::newer_format, "the repository's ids are of a suite that this version does not know"};
    out.chunk_sizes = {reader.u32(), reader.u32(), reader.u32()};
    if (out.chunk_sizes.min < 4096 || out.chunk_sizes.mean <= out.chunk_sizes.min ||
        out.chunk_sizes.max < out.chunk_sizes.mean || out.chunk_sizes.max > 16 * 1024 * 1024)
        reader.fail("its chunk sizes make no sense");
    out.small_file_max = reader.u32();
    out.pack_bytes = reader.u32();
    if (out.small_file_max > out.chunk_sizes.max || out.pack_bytes < 64 * 1024 || out.pack_bytes > 32 * 1024 * 1024)
        reader.fail("its sizes make no sense");
    out.created = reader.zigzag();
    verify_signed(view, out.root, out.repository, "the object `config`");
    return out;
}

Keyring::Keyring(Config config, Credential own, Secrets secrets)
    : config_(std::move(config)),
      own_(std::move(own)),
      own_id_(own_.id()),
      secrets_(std::move(secrets)),
      domains_(config_.id_suite, config_.chunk_sizes, own_.domain, secrets_.root_secret, secrets_.domain),
      domain_(domains_.find(own_.domain)),
      shared_(secrets_.root_secret ? shared_keys(*secrets_.root_secret) : shared_of(secrets_)) {
    enrolled_.emplace(own_id_, own_);
}

const Domain& Keyring::domain() const {
    if (!domain_) require(Right::back_up, "store chunks");
    HF_ASSERT(domain_);
    return *domain_;
}

void Keyring::write_in(const std::string& domain) {
    if (domain_ && domain_->name == domain) return;
    if (auto found = domains_.find(domain)) {
        domain_ = std::move(found);
        return;
    }
    require(Right::back_up, "store chunks");
    if (!secrets_.root_secret)
        throw Error{Code::denied, "this key stores in the domain {}, not in {}", own_.domain, domain}
            .unharmed("nothing was stored")
            .hint(fmt::format("`holdfast key add --role writer --domain {}` makes one that does.", domain));
    throw Error{Code::not_found, "no key of the repository is of the domain {}", domain}
        .unharmed("nothing was stored")
        .hint(fmt::format(
            "`holdfast key add --role writer --domain {}` begins one; `key list` shows those that there are.", domain));
}

void Keyring::enrol(const Credential& credential) {
    enrolled_.insert_or_assign(credential.id(), credential);
    domains_.learn(credential.domain);
}

const Credential* Keyring::find(const SignerId& signer) const {
    const auto at = enrolled_.find(signer);
    return at == enrolled_.end() ? nullptr : &at->second;
}

const crypto::PublicKey& Keyring::author_key(const SignerId& author, std::string_view what) const {
    if (author == root_id()) return config_.root;
    if (const Credential* credential = find(author)) return credential->signer;
    throw Error{Code::corrupt, "{} is signed by {}, whom the root key never enrolled", what, author.short_hex()};
}

void Keyring::verify(const SignedView& view, std::string_view what) const {
    verify_signed(view, author_key(view.author, what), config_.repository, what);
}

std::vector<Credential> Keyring::enrolled() const {
    std::vector<Credential> out;
    for (const auto& [id, credential] : enrolled_) out.push_back(credential);
    return out;
}

bool Keyring::trusts_chunks_of(const SignerId& author) const {
    if (author == own_id_) return true;
    const Credential* credential = find(author);
    return credential != nullptr && credential->role == Role::full;
}

bool Keyring::may(const SignerId& author, Right right) const {
    const Credential* credential = find(author);
    return credential != nullptr && has(credential->role, right);
}

bool Keyring::may_back_up(const SignerId& author, std::string_view source) const {
    const Credential* credential = find(author);
    if (credential == nullptr || !has(credential->role, Right::back_up)) return false;
    return credential->sources.empty() || std::ranges::find(credential->sources, source) != credential->sources.end();
}

void Keyring::require(Right right, std::string_view what) const {
    if (has(own_.role, right)) return;
    std::string_view other = "full";
    for (const Role role : {Role::writer, Role::reader, Role::maintainer})
        if (has(role, right)) other = name_of(role);
    throw Error{Code::denied, "this key may not {}: it is a {}'s", what, name_of(own_.role)}
        .unharmed("nothing was changed")
        .hint(fmt::format("A key with the role {} may; `holdfast key list` shows which there are.",
                          other == "full" ? "full" : fmt::format("{} or full", other)));
}

Secrets secrets_of(Role role, const std::string& domain, Secrets secrets) {
    if (!has(role, Right::read) && secrets.root_secret) {
        secrets.shared = shared_keys(*secrets.root_secret);
        if (has(role, Right::back_up)) secrets.domain = domain_keys(*secrets.root_secret, domain);
        secrets.root_secret.reset();
    }
    if (!has(role, Right::administer)) secrets.root.reset();
    if (!has(role, Right::read)) secrets.reader.reset();
    if (!has(role, Right::collect)) secrets.maintainer.reset();
    return secrets;
}

Bytes encode_slot(const Config& config, ByteView signed_credential, const Secrets& secrets, const Unlock& unlock,
                  Random& random) {
    const crypto::Argon2Cost cost;
    const auto salt = random.array<16>();
    Bytes out;
    ByteWriter writer(out);
    writer.raw(as_bytes(slot_magic));
    writer.u8(slot_version);
    const std::uint8_t way = unlock.way == Unlock::Way::keyfile ? 2 : 1;
    put(writer, SlotTag::way, ByteView(&way, 1));
    if (unlock.way == Unlock::Way::passphrase) {
        Bytes numbers;
        ByteWriter inner(numbers);
        inner.u32(cost.memory_kib);
        inner.u32(cost.passes);
        put(writer, SlotTag::argon2, numbers);
    }
    put(writer, SlotTag::salt, salt);
    put(writer, SlotTag::credential, signed_credential);
    const SignerId signer = signer_id_of(secrets.signer.public_key());
    Secret plain(encode_secrets(secrets, config.root));
    put(writer, SlotTag::sealed,
        crypto::seal(key_for(unlock, salt, cost), slot_context(slot_version, config.repository, signer),
                     plain.reveal()));
    return out;
}

namespace {

// The signer and the revision in the object's name; nothing: it is no slot.
std::optional<SlotInfo> named_slot(const std::string& object) {
    const auto name = names::parse_key_slot(object);
    if (!name) return std::nullopt;
    return SlotInfo{object, name->signer, name->revision, {}, {}, {}, {}};
}

void fill(SlotInfo& slot, Bytes stored, const Config& config) {
    const ParsedSlot parsed = parse_slot(stored, slot.object);
    slot.way = parsed.way;
    slot.credential = decode_credential(parsed.credential, config.repository, config.root);
    if (slot.credential.id() != slot.signer)
        throw Error{Code::corrupt, "{} holds the slot of another signer", slot.object};
    slot.signed_credential = to_bytes(parsed.credential);
    slot.stored = std::move(stored);
}

// Nothing: it does not open so.
std::optional<Keyring> open_slot(const SlotInfo& slot, const Config& config, const Unlock& unlock,
                                 const std::function<bool()>& is_known_root) {
    if (slot.way != unlock.way) return std::nullopt;
    const ParsedSlot parsed = parse_slot(slot.stored, slot.object);
    const auto plain = crypto::open(key_for(unlock, parsed.salt, parsed.cost),
                                    slot_context(parsed.version, config.repository, slot.signer), parsed.sealed);
    if (!plain) return std::nullopt;
    auto [root, secrets] = decode_sealed(parsed.version, Secret(*plain).reveal());
    // What else `config` and the credential say, the root signed: a store cannot swap them.
    if (root && *root != config.root)
        throw Error{Code::corrupt, "the object `config` names another root key than this key slot"}
            .unharmed("nothing was read or written")
            .hint("Somebody replaced the configuration of the repository. Do not write to it.");
    if (!root && !is_known_root())
        throw Error{Code::wrong_key, "{} is of the first version, and this machine has not used the repository yet",
                    slot.object}
            .unharmed("nothing was read or written")
            .hint(
                "Such a slot does not tell whether somebody replaced the configuration. Run `holdfast key change` "
                "once where this key is in use, the old passphrase or key file will do, or `key add` a new one.");
    if (secrets.signer.public_key() != slot.credential.signer)
        throw Error{Code::corrupt, "{} holds another signer's secrets", slot.object};
    return Keyring(config, slot.credential, std::move(secrets));
}

}  // namespace

std::vector<SlotInfo> list_slots(Store& store, const Config& config, std::vector<DamagedSlot>* damaged) {
    std::map<SignerId, SlotInfo> newest;
    store.list(names::keys, [&](const ObjectInfo& object) {
        auto found = named_slot(object.name);
        if (!found) return;
        SlotInfo& slot = newest[found->signer];
        if (slot.object.empty() || found->revision > slot.revision) slot = std::move(*found);
    });
    std::vector<std::string> objects;
    for (const auto& [signer, slot] : newest) objects.push_back(slot.object);
    std::vector<std::optional<Bytes>> stored = read_many(store, objects);
    std::vector<SlotInfo> out;
    std::size_t number = 0;
    for (auto& [signer, slot] : newest) {
        std::optional<Bytes>& bytes = stored[number++];
        if (!bytes) continue;
        try {
            fill(slot, std::move(*bytes), config);
            out.push_back(std::move(slot));
        } catch (const Error& error) {
            if (damaged == nullptr || error.code() != Code::corrupt) throw;
            damaged->push_back({slot.object, error});
        }
    }
    std::ranges::sort(out, {}, [](const SlotInfo& slot) { return slot.credential.created; });
    return out;
}

Unlocked unlock_keyring(Store& store, const Config& config, const Unlock& unlock,
                        const std::vector<std::string>& likely, const std::function<bool()>& is_known_root) {
    if (unlock.known && unlock.known->identity != identity_of(config))
        throw Error{Code::wrong_key, "this credential is of another repository than {}", store.url()}
            .unharmed("nothing was read or written")
            .hint("If it was this one's until now, somebody has put another repository in its place.");
    for (const std::string& object : likely) {
        auto slot = named_slot(object);
        auto stored = slot ? store.read(object) : std::nullopt;
        if (!stored) continue;
        try {
            fill(*slot, std::move(*stored), config);
        } catch (const Error& error) {
            if (error.code() != Code::corrupt) throw;
            continue;  // the listing will say so
        }
        if (auto keys = open_slot(*slot, config, unlock, is_known_root)) return {std::move(*keys), object};
    }
    std::vector<DamagedSlot> damaged;
    const std::vector<SlotInfo> slots = list_slots(store, config, &damaged);
    for (const SlotInfo& slot : slots)
        if (auto keys = open_slot(slot, config, unlock, is_known_root)) return {std::move(*keys), slot.object};
    if (!damaged.empty()) throw damaged.front().why;  // it may be the very one
    const bool other_way = std::ranges::any_of(slots, [&](const SlotInfo& slot) { return slot.way != unlock.way; });
    const bool passphrase = unlock.way == Unlock::Way::passphrase;
    throw Error{Code::wrong_key, "no key slot of {} opens with this {}", store.url(),
                passphrase ? "passphrase" : "key file"}
        .unharmed("nothing was read or written")
        .hint(slots.empty() ? "It has no key slots: its `init` did not finish, or the objects under keys/ are gone."
              : !other_way  ? "Check it for a trailing newline or another keyboard layout."
              : passphrase  ? "The repository also has slots for key files: try --key-file."
                            : "The repository also has slots for passphrases: try HOLDFAST_PASSWORD_FILE.");
}

}  // namespace holdfast::repo
