#include "repo/repository.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "repo/checkpoint.h"
#include "repo/chunk_reader.h"
#include "repo/collection.h"
#include "repo/index.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/proof_note.h"
#include "repo/replica.h"
#include "repo/snapshot_codec.h"
#include "store/foreseen.h"
#include "store/read_many.h"

namespace holdfast::repo {

namespace {

// Bounds by measurement: doc/adr/0005.
constexpr std::uint32_t small_file_max = 64 * 1024;

Credential make_credential(const Secrets& secrets, const NewKey& key, World& world) {
    Credential credential;
    credential.role = key.role;
    credential.sources = key.sources;
    credential.signer = secrets.signer.public_key();
    credential.box = secrets.box.public_key();
    credential.domain = key.domain;
    credential.label = key.label;
    credential.created = world.clock.now();
    return credential;
}

std::string marks_in(const std::string& client_folder) { return client_folder.empty() ? "" : client_folder + "/marks"; }

void write_once(Store& store, const std::string& name, ByteView bytes) {
    if (store.create(name, bytes) != Created::created)
        throw Error{Code::already_exists, "{} already has an object {}", store.url(), name}.unharmed(
            "it was left as it is");
}

void write_slot(Store& store, const Config& config, ByteView signed_credential, const Secrets& secrets,
                const Unlock& unlock, World& world, std::uint64_t revision) {
    write_once(store, names::key_slot(signer_id_of(secrets.signer.public_key()), revision),
               encode_slot(config, signed_credential, secrets, unlock, world.random));
}

// Which slot opened on this machine last, so that neither the others' are read nor their list is asked for.
class OwnSlot {
public:
    OwnSlot(const std::string& client_folder, const RepositoryId& repository)
        : path_(client_folder.empty() ? "" : fmt::format("{}/slots/{}", client_folder, repository.hex())) {}

    std::vector<std::string> likely(const Unlock& unlock) {
        std::vector<std::string> out;
        if (unlock.known) out.push_back(names::key_slot(unlock.known->signer, 0));
        try {
            if (const auto bytes = path_.empty() ? std::nullopt : read_file_if_present(path_))
                remembered_ = as_text(*bytes);
        } catch (const Error&) {
            remembered_.clear();  // all are looked at
        }
        if (!remembered_.empty() && std::ranges::find(out, remembered_) == out.end()) out.push_back(remembered_);
        return out;
    }
    void remember(const std::string& slot) {
        if (path_.empty() || slot == remembered_) return;
        try {
            std::filesystem::create_directories(std::filesystem::path(path_).parent_path());
            write_file_durably(path_, as_bytes(slot));
        } catch (const std::exception&) {
            // The next time all are looked at again.
        }
    }

private:
    const std::string path_;
    std::string remembered_;
};

// What an opening asks for before it knows anything, and what it asks for next where no checkpoint says more.
Foreseen first_objects(Nanoseconds now) {
    Foreseen soon{{std::string(names::config)}, {names::cut(0)}};
    for (const std::string& day : checkpoint_days(now, DaysBack::few)) soon.found.push_back(names::checkpoint(day));
    return soon;
}
std::vector<std::string> first_entries(const Config& config, const std::vector<std::string>& slots) {
    constexpr std::uint64_t entries = 8;
    std::set<SignerId> signers{signer_id_of(config.root)};
    for (const std::string& slot : slots)
        if (const auto name = names::parse_key_slot(slot)) signers.insert(name->signer);
    std::vector<std::string> out;
    for (const SignerId& signer : signers)
        for (std::uint64_t number = 0; number < entries; ++number) out.push_back(names::log_entry(signer, 0, number));
    return out;
}

// Those with a checkpoint, which will be read next, or else `instead`.
std::vector<std::string> days_to_begin_at(Store& store, Nanoseconds now, const std::vector<std::string>& instead) {
    std::vector<std::string> days = with_checkpoint(store, checkpoint_days(now, DaysBack::few));
    if (days.empty()) {
        days = checkpoint_days(now, DaysBack::more);
        Foreseen soon{instead};
        for (const std::string& day : days) soon.found.push_back(names::checkpoint(day));
        store.foresee(soon);
        days = with_checkpoint(store, days);
    }
    if (!days.empty()) store.foresee({{names::checkpoint(days.front())}});
    return days;
}

}  // namespace

void Repository::init(Store& store, const Unlock& unlock, const InitOptions& options, World& world) {
    const Note note{"making a repository in {}", options.label};
    if (store.find(names::config))
        throw Error{Code::already_exists, "{} is a repository already", store.url()}
            .unharmed("it was left as it is")
            .hint("Choose another place, or use it as it is.");
    if (unlock.known)
        throw Error{Code::usage, "the key file is a credential of another repository"}
            .unharmed("no repository was made")
            .hint("`holdfast key generate FILE` makes a key file for a new one.");
    if (store.find(names::cut(0)))
        throw Error{Code::already_exists, "{} was to become a replica", store.url()}
            .unharmed("it was left as it is")
            .hint("Run `init --like` of its origin again, or choose another place.");
    Secrets secrets{crypto::SigningKey::generate(world.random),
                    crypto::BoxKey::generate(world.random),
                    Secret(world.random.array<32>()),
                    {},
                    {},
                    crypto::SigningKey::generate(world.random),
                    crypto::BoxKey::generate(world.random),
                    crypto::BoxKey::generate(world.random)};
    Config config;
    config.repository = RepositoryId{world.random.array<16>()};
    config.family = decltype(config.family){world.random.array<16>()};
    config.root = secrets.root->public_key();
    config.reader = secrets.reader->public_key();
    config.maintainer = secrets.maintainer->public_key();
    config.id_suite = options.id_suite ? *options.id_suite : crypto::fastest_id_suite();
    config.chunk_sizes = options.chunk_sizes;
    config.small_file_max = std::min(small_file_max, options.chunk_sizes.max);
    config.pack_bytes = options.pack_bytes;
    config.created = world.clock.now();
    const Credential credential = make_credential(secrets, {options.label}, world);
    Keyring keys(config, credential, std::move(secrets));
    // The configuration goes first, for its name is what two that init at once compete for.
    write_once(store, names::config, encode(config, *keys.secrets().root));
    LogBook log(store, keys, world);
    log.enrol(credential);
    // The slot comes last: what can be opened is whole.
    write_slot(store, config, encode(credential, config.repository, *keys.secrets().root), keys.secrets(), unlock,
               world, 0);
}

std::unique_ptr<Repository> Repository::open(std::unique_ptr<Store> store, const Unlock& unlock,
                                             const OpenOptions& options, World& world) {
    const std::string url = store->url();
    const Note note{"opening {}", url};
    auto foreseen = std::make_unique<ForeseenStore>(std::move(store));
    const Nanoseconds now = world.clock.now();
    foreseen->foresee(first_objects(now));
    const auto bytes = foreseen->read(names::config);
    if (!bytes)
        throw Error{Code::no_repository, "there is no repository in {}", url}.hint(
            fmt::format("Make one with `holdfast -r {} init`.", url));
    const Config config = decode_config(*bytes);
    const auto is_known_root = [&] {
        if (!LogBook::has_marks_of(config, marks_in(options.client_folder))) return false;
        world.log.warning(
            "this key slot is of the first version, which machines that have not used the repository yet refuse; run "
            "`holdfast key change`, the old passphrase or key file will do");
        return true;
    };
    OwnSlot own_slot(options.client_folder, config.repository);
    const std::vector<std::string> likely = own_slot.likely(unlock);
    foreseen->foresee({likely});
    const std::vector<std::string> days = days_to_begin_at(*foreseen, now, first_entries(config, likely));
    Unlocked unlocked = unlock_keyring(*foreseen, config, unlock, likely, is_known_root);
    own_slot.remember(unlocked.slot);
    std::optional<Replica> replica = read_replica(*foreseen, config);
    std::unique_ptr<Repository> repository(new Repository(std::move(foreseen), world, options.client_folder,
                                                          std::move(unlocked.keys), std::move(replica)));
    repository->compression_ = options.compression;
    repository->start_from_checkpoint(days);
    repository->refresh(options.notes);
    return repository;
}

Repository::Repository(std::unique_ptr<ForeseenStore> store, World& world, std::string client_folder, Keyring keys,
                       std::optional<Replica> replica)
    : foreseen_(store.get()),
      store_(std::move(store)),
      world_(world),
      client_folder_(std::move(client_folder)),
      keys_(std::make_unique<Keyring>(std::move(keys))) {
    if (replica) replica_ = std::make_unique<Replica>(std::move(*replica));
    if (is_replica()) {
        auto guard = std::make_unique<ReplicaGuard>(std::move(store_));
        guard_ = guard.get();
        store_ = std::move(guard);
    }
    log_ = std::make_unique<LogBook>(*store_, *keys_, world_);
    if (is_replica()) log_->limit_to(replica_->cut);
    index_ = std::make_unique<Index>(*store_, *keys_);
    chunks_ = std::make_unique<ChunkReader>(*store_, *keys_, *index_);
    notes_ = std::make_unique<NoteBook>(*store_, *keys_, world_);
}

Repository::~Repository() = default;

bool Repository::is_replica() const { return replica_ && !replica_->promoted; }

void Repository::require_writable() const {
    if (is_replica()) guard_->refuse();
}

std::string Repository::local_name() const {
    if (!replica_) return id().hex();
    return id().hex() + "-" + to_hex(crypto::sha256(as_bytes(store_->url()))).substr(0, 16);
}

Bytes Repository::signed_credential() const {
    for (const Bytes& enrolled : log_->state().enrolments)
        if (decode_credential(enrolled, id(), keys_->config().root).id() == keys_->own_id()) return enrolled;
    throw Error{Code::unreachable, "the root's log does not show the enrolment of this key yet"}.hint(
        "A store that shows writes late does that. Try again in a minute.");
}

void Repository::promote() {
    keys_->require(Right::collect, "promote a replica");
    if (!is_replica()) return;
    guard_->lift();
    write_promotion(*store_, *keys_, signed_credential(), world_.clock.now());
    replica_->promoted = true;
    log_->lift_limit();
    refresh(NotesFrom::names);
}

void Repository::refresh(NotesFrom notes) {
    const Foresight until_the_end(*foreseen_);
    if (is_replica()) {
        // Promoted since by somebody else it can still be read as it was; whoever wants to write opens it again.
        replica_->cut = read_replica(*store_, keys_->config(), *replica_)->cut;
        log_->limit_to(replica_->cut);
    }
    log_->read();
    keep_marks();
    foresee_collections();
    for_each_number(*store_, 2, [&](std::size_t number) {
        if (number == 0)
            read_notes(notes);
        else
            index_->load(log_->fragments());
    });
    try {
        read_collections();
    } catch (const Error& error) {
        if (error.code() != Code::unreachable && error.code() != Code::corrupt) throw;
        // Readers need it not; who writes or collects reads it again, and fails.
        world_.log.warning(fmt::format("what was collected is not known: {}", error.message()));
    }
    snapshots_.clear();
    without_record_.clear();
    for (const CommittedSnapshot& committed : log_->snapshots())
        if (auto snapshot = noted(committed)) snapshots_.push_back(std::move(*snapshot));
    sort_snapshots();
    warn_of_what_is_not_believed();
}

void Repository::warn_once(const std::string& text) {
    if (warned_.insert(text).second) world_.log.warning(text);
}

void Repository::warn_of_what_is_not_believed() {
    for (const auto& [name, lane] : log_->lanes())
        if (!lane.broken.empty())
            warn_once(
                fmt::format("{}; the log of key {} counts up to there only", lane.broken, name.signer.short_hex()));
    for (const Index::Unloaded& each : index_->unloaded())
        warn_once(fmt::format("{}; chunks that only it names are not found", each.why));
    for (const auto& [id, each] : without_record_)
        warn_once(fmt::format("what key {} committed as snapshot {} is none: {}", each.signer.short_hex(),
                              id.short_hex(), each.why));
    for (const Snapshot& snapshot : snapshots_)
        if (snapshot.has_unreadable_notes)
            for (const SnapshotNote& note : notes_->of(snapshot.id))
                if (note.kind == NoteKind::unreadable)
                    warn_once(
                        fmt::format("a note about snapshot {} says nothing: {}", snapshot.id.short_hex(), note.text));
}

// Nothing: it is none of this key's business, or no record.
std::optional<Snapshot> Repository::decoded(const CommittedSnapshot& committed) {
    try {
        return decode_snapshot(*keys_, committed.record, committed.provenance);
    } catch (const Error& error) {
        if (error.code() == Code::corrupt)
            without_record_[committed.id()] = {committed.lane.signer, error.message()};
        else if (error.code() != Code::denied)
            throw;
        return std::nullopt;
    }
}

// Nothing: it is forgotten, its signer may not back up that source, or it is none of this key's business.
std::optional<Snapshot> Repository::noted(const CommittedSnapshot& committed) {
    const SnapshotId id = committed.id();
    for (const SnapshotNote& note : notes_->of(id))
        if (note.kind == NoteKind::forgotten && keys_->may(note.author, Right::collect)) forgotten_.insert(id);
    if (forgotten_.contains(id)) return std::nullopt;
    std::optional<Snapshot> found = decoded(committed);
    if (!found) return std::nullopt;
    Snapshot& snapshot = *found;
    if (!keys_->may_back_up(snapshot.signer, snapshot.source)) {
        warn_once(fmt::format("snapshot {} is passed over: its signer {} may not back up {}", snapshot.id.short_hex(),
                              snapshot.signer.short_hex(), snapshot.source));
        return std::nullopt;
    }
    snapshot.received = std::min(snapshot.received, world_.clock.now());  // until somebody says when it was
    for (const SnapshotNote& note : notes_->of(snapshot.id)) {
        const bool reads = keys_->may(note.author, Right::read), collects = keys_->may(note.author, Right::collect);
        // A note by someone who has no right to it says nothing, and harms nobody.
        if (note.kind == NoteKind::received && (collects || reads)) snapshot.received = note.time;
        if (note.kind == NoteKind::unreadable) snapshot.has_unreadable_notes = true;
        if (note.kind == NoteKind::hold && (collects || reads)) snapshot.holds.push_back(note.text);
        if (note.kind == NoteKind::release && collects) std::erase(snapshot.holds, note.text);
        if (note.kind == NoteKind::flag) snapshot.flags.push_back(note.text);
        if (note.kind == NoteKind::proof && reads) read_proof(note, snapshot);
        if (note.kind == NoteKind::tag && (collects || reads || note.author == snapshot.signer)) {
            const std::size_t equals = note.text.find('=');
            snapshot.tags[note.text.substr(0, equals)] =
                equals == std::string::npos ? "" : note.text.substr(equals + 1);
        }
    }
    return found;
}

void Repository::start_from_checkpoint(const std::vector<std::string>& days) {
    std::optional<Checkpoint> checkpoint = read_checkpoint(*store_, *keys_, days, world_.log);
    if (!checkpoint) return;
    log_->start_from(std::move(checkpoint->log));
    notes_->start_from(std::move(checkpoint->notes));
    forgotten_ = std::move(checkpoint->forgotten);
    collections_ = checkpoint->collections;
    excluded_before_ = std::move(checkpoint->excluded);
}

void Repository::read_notes(NotesFrom from) {
    if (from == NotesFrom::checkpoint) return;
    std::set<SnapshotId> committed;
    for (const CommittedSnapshot& snapshot : log_->snapshots()) committed.insert(snapshot.id());
    notes_->read([&](const SnapshotId& id) { return committed.contains(id) || id == no_snapshot; });
    if (from != NotesFrom::names) return;
    std::erase_if(committed, [&](const SnapshotId& id) { return forgotten_.contains(id); });
    notes_->read_on({committed.begin(), committed.end()});
}

// One of a later version says nothing to this one, but harms nobody.
void Repository::read_proof(const SnapshotNote& note, Snapshot& snapshot) const {
    try {
        const ProofRecord proof = decode_proof(note.text, *keys_);
        add_proof(snapshot.proof, {proof.level, proof.result, note.time, proof.seconds});
    } catch (const Error& error) {
        world_.log.warning(
            fmt::format("a proof of snapshot {} is not known: {}", snapshot.id.short_hex(), error.message()));
    }
}

void Repository::keep_marks() { log_->check_marks(marks_in(client_folder_)); }

void Repository::foresee_collections() {
    Foreseen soon;
    for (std::uint64_t number = collections_ + 1; number <= log_->stamp(); ++number) {
        soon.read.push_back(names::condemned(number));
        soon.read.push_back(names::verdict(number));
    }
    store_->foresee(soon);
}

void Repository::read_collections() {
    std::set<PackId> excluded = condemned_packs(*store_, *keys_, collections_, log_->stamp());
    excluded.insert(excluded_before_.begin(), excluded_before_.end());
    index_->exclude(std::move(excluded));
}

const RepositoryId& Repository::id() const { return keys_->repository(); }

std::string Repository::id_suite() const {
    switch (keys_->config().id_suite) {
        case crypto::IdSuite::hmac_sha256:
            return "hmac-sha-256";
        case crypto::IdSuite::blake2b:
            return "blake2b";
        case crypto::IdSuite::hmac_sha256_lanes:
            return "hmac-sha-256 in lanes";
    }
    return "unknown";
}

std::vector<KeySlot> Repository::key_slots() const {
    std::vector<KeySlot> out;
    std::vector<DamagedSlot> damaged;
    const std::vector<SlotInfo> slots = list_slots(*store_, keys_->config(), &damaged);
    for (const DamagedSlot& slot : damaged)
        world_.log.warning(fmt::format("{} is damaged: {}", slot.object, slot.why.message()));
    for (const SlotInfo& slot : slots)
        out.push_back({slot.signer.hex().substr(0, 12), slot.credential.label,
                       std::string(name_of(slot.credential.role)), slot.credential.sources, slot.credential.domain,
                       slot.way, slot.credential.created, slot.signer == keys_->own_id()});
    return out;
}

SignerId Repository::add_key(const Unlock& unlock, const NewKey& key) {
    keys_->require(Right::administer, "add keys");
    require_writable();
    if (key.domain != default_domain && !has(key.role, Right::back_up))
        throw Error{Code::usage, "a {} stores no chunks, so it has no domain", name_of(key.role)}.unharmed(
            "no key was added");
    Secrets secrets = secrets_of(key.role, key.domain, keys_->secrets());
    secrets.signer = crypto::SigningKey::generate(world_.random);
    secrets.box = crypto::BoxKey::generate(world_.random);
    const Credential credential = make_credential(secrets, key, world_);
    write_slot(*store_, keys_->config(), encode(credential, keys_->repository(), *keys_->secrets().root), secrets,
               unlock, world_, 0);
    log_->enrol(credential);
    return credential.id();
}

void Repository::remove_key(const std::string& slot_id) {
    keys_->require(Right::administer, "remove keys");
    require_writable();
    const std::vector<SlotInfo> slots = list_slots(*store_, keys_->config());
    std::vector<SlotInfo> matching;
    for (const SlotInfo& slot : slots)
        if (!slot_id.empty() && slot.signer.hex().starts_with(slot_id)) matching.push_back(slot);
    if (matching.size() != 1)
        throw Error{Code::not_found, "{} key slots begin with \"{}\"", matching.empty() ? "no" : "several", slot_id}
            .hint("`holdfast key list` shows them.");
    if (matching[0].signer == keys_->own_id())
        throw Error{Code::usage, "this is the key slot in use"}
            .unharmed("it was left as it is")
            .hint("Open the repository with another key to remove this one.");
    for (std::uint64_t revision = 0; revision <= matching[0].revision; ++revision)
        store_->remove(names::key_slot(matching[0].signer, revision));
}

void Repository::change_key(const Unlock& to) {
    require_writable();
    for (const SlotInfo& slot : list_slots(*store_, keys_->config())) {
        if (slot.signer != keys_->own_id()) continue;
        // The new one first: there is never a moment without a slot that opens.
        const Credential& own = keys_->own();
        write_slot(*store_, keys_->config(), slot.signed_credential, secrets_of(own.role, own.domain, keys_->secrets()),
                   to, world_, slot.revision + 1);
        for (std::uint64_t revision = 0; revision <= slot.revision; ++revision)
            store_->remove(names::key_slot(slot.signer, revision));
        return;
    }
    throw Error{Code::not_found, "the key slot in use is gone"};
}

void Repository::write_in(const std::string& domain) { keys_->write_in(domain.empty() ? keys_->own().domain : domain); }

bool Repository::has_received_note(const SnapshotId& id) const {
    return std::ranges::any_of(notes_->of(id), [&](const SnapshotNote& note) {
        return note.kind == NoteKind::received &&
               (keys_->may(note.author, Right::collect) || keys_->may(note.author, Right::read));
    });
}

// The time of a file is a hint, but it is not the writer's word, and many that are first seen together keep their order.
Nanoseconds Repository::came_at(const CommittedSnapshot& committed) const {
    const Nanoseconds now = world_.clock.now();
    const auto entry = store_->find(names::log_entry(committed.lane.signer, committed.lane.lane, committed.slot));
    if (!entry || entry->time <= 0) return now;
    return store_->traits().has_clock ? entry->time : std::min(entry->time, now);
}

void Repository::settle_received() {
    std::map<SnapshotId, Snapshot*> unsettled;
    for (Snapshot& snapshot : snapshots_)
        if (!has_received_note(snapshot.id)) unsettled[snapshot.id] = &snapshot;
    if (!unsettled.empty())
        for (const CommittedSnapshot& committed : log_->snapshots())
            if (const auto at = unsettled.find(committed.id()); at != unsettled.end())
                at->second->received = came_at(committed);
    sort_snapshots();
}

// A store's clock has whole seconds, and lanes have no order: within one second the writer's word decides.
void Repository::sort_snapshots() {
    std::ranges::stable_sort(snapshots_, {}, [](const Snapshot& each) { return std::pair(each.received, each.time); });
}

void Repository::note_received() {
    settle_received();
    for (const Snapshot& snapshot : snapshots_)
        if (!has_received_note(snapshot.id)) notes_->append(snapshot.id, NoteKind::received, snapshot.received, "");
}

void Repository::forget(const std::vector<SnapshotId>& ids, const std::string& reason) {
    keys_->require(Right::collect, "forget snapshots");
    require_writable();
    for (const SnapshotId& id : ids) notes_->append(id, NoteKind::forgotten, world_.clock.now(), reason);
    forgotten_.insert(ids.begin(), ids.end());
    std::erase_if(snapshots_,
                  [&](const Snapshot& snapshot) { return std::ranges::find(ids, snapshot.id) != ids.end(); });
}

}  // namespace holdfast::repo
