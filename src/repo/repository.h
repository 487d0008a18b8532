// repo/repository.h: a repository, opened with a key.
//
// Shape    Repository::init() makes one; Repository::open() unlocks it, verifies its logs to the root key and
//          loads the index's filters; verbs of the layer above work on it
// Errors   no_repository, newer_format, wrong_key, rolled_back (older than this client has seen), corrupt,
//          unreachable
// Threads  const members from any thread; one writing Session at a time for each Repository object
// Source   doc/format/README.md
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/secret.h"
#include "base/world.h"
#include "codec/chunker.h"
#include "codec/compress.h"
#include "crypto/crypto.h"
#include "repo/ids.h"
#include "repo/snapshot.h"
#include "store/store.h"

namespace holdfast {
class ForeseenStore;
}

namespace holdfast::repo {

enum class Role : std::uint8_t { writer = 1, reader = 2, maintainer = 3, full = 4 };

// What a credential file says beside its key (repo/credential_file.h).
struct KnownSlot {
    Bytes identity;   // of its repository and of the replicas
    SignerId signer;  // whose slot it opens
};

// How a key slot is opened.
struct Unlock {
    enum class Way : std::uint8_t { passphrase, keyfile };
    Way way = Way::passphrase;
    Secret secret;  // the passphrase's bytes, or the whole key file (32 bytes or more)
    std::optional<KnownSlot> known = {};
};

struct KeySlot {
    std::string id;                    // short hex, as `key list` shows it
    std::string label;                 // "root" for the first, else what `key add` was given
    std::string role;                  // "writer", "reader", "maintainer" or "full"
    std::vector<std::string> sources;  // that it may back up; empty: all
    std::string domain;                // that a writer or full stores in
    Unlock::Way way = Unlock::Way::passphrase;
    Nanoseconds created = 0;
    bool current = false;  // opened this session
};

inline constexpr std::string_view default_domain = "default";  // of deduplication

struct NewKey {
    std::string label;
    Role role = Role::full;
    std::vector<std::string> sources = {};  // a writer's; empty: all
    std::string domain{default_domain};
};

// Sizes are settled here for ever; tests make them small.
struct InitOptions {
    std::string label = "first";
    codec::ChunkSizes chunk_sizes;
    std::uint32_t pack_bytes = 16 * 1024 * 1024;
    std::optional<crypto::IdSuite> id_suite = {};  // none: what is fastest on this machine
};

// A listing may miss the newest notes, so that a forgotten snapshot still shows; asked by name they cannot be missed, at a
// request a snapshot. Whoever needs none is content with those of the checkpoint.
enum class NotesFrom : std::uint8_t { listing, names, checkpoint };

struct OpenOptions {
    // Where this client keeps its high-water marks and the locks of its sessions; empty: none are kept.
    std::string client_folder;
    NotesFrom notes = NotesFrom::listing;
    codec::Compression compression = codec::usual_compression;  // of contents that are written
};

class Keyring;
class Index;
class LogBook;
class ChunkReader;
class NoteBook;
class ReplicaGuard;
struct Replica;
struct CommittedSnapshot;
struct SnapshotNote;

class Repository {
public:
    static void init(Store& store, const Unlock& unlock, const InitOptions& options, World& world);
    static std::unique_ptr<Repository> open(std::unique_ptr<Store> store, const Unlock& unlock,
                                            const OpenOptions& options, World& world);
    ~Repository();

    Store& store() const { return *store_; }
    World& world() const { return world_; }
    codec::Compression compression() const { return compression_; }
    const RepositoryId& id() const;
    std::string id_suite() const;  // "hmac-sha-256", "blake2b" or "hmac-sha-256 in lanes"

    // Every committed and not forgotten snapshot, oldest received first; of the same time, oldest captured first.
    const std::vector<Snapshot>& snapshots() const { return snapshots_; }
    // Committed, not forgotten, and no records of snapshots: by the signer, with the reason.
    struct NoRecord {
        SignerId signer;
        std::string why;
    };
    const std::map<SnapshotId, NoRecord>& without_record() const { return without_record_; }
    // Reads logs and notes anew (others may have written).
    void refresh(NotesFrom notes = NotesFrom::listing);

    std::vector<KeySlot> key_slots() const;
    SignerId add_key(const Unlock& unlock, const NewKey& key);  // the new slot's id
    void remove_key(const std::string& slot_id);                // refuses the slot in use and the last one
    void change_key(const Unlock& to);                          // of the slot in use

    // The dedup domain of what is stored from here on; empty: the key's own. Errors as Keyring::write_in.
    void write_in(const std::string& domain);

    const Keyring& keys() const { return *keys_; }
    Index& index() const { return *index_; }
    LogBook& log() const { return *log_; }
    ChunkReader& chunks() const { return *chunks_; }
    NoteBook& notes() const { return *notes_; }
    const std::string& client_folder() const { return client_folder_; }
    // By what this machine keeps things of it: a replica has the id of its origin, but damage of its own.
    std::string local_name() const;

    // Nothing: it was made as an ordinary repository.
    const Replica* replica() const { return replica_.get(); }
    // Whether only replication writes to it. What others try is refused (denied), at the latest by its store.
    bool is_replica() const;
    void require_writable() const;
    // From now on it is an ordinary repository, whatever its origin does; log entries beyond the newest cut count too.
    void promote();
    // Our credential, as the root signed it.
    Bytes signed_credential() const;

    // Collections whose packs count as absent or may be; read from the store as the logs' stamps name them.
    void read_collections();
    // Those up to here, a checkpoint has counted.
    std::uint64_t collections_read() const { return collections_; }
    bool was_forgotten(const SnapshotId& id) const { return forgotten_.contains(id); }
    const std::set<SnapshotId>& forgotten() const { return forgotten_; }
    // Remembers how far the logs go now, so that a store that is rolled back shows.
    void keep_marks();

    // Where no note says yet when a snapshot was received: when its COMMIT came into the store, by the store's clock if it
    // has one, never by that of its writer.
    void settle_received();
    // The same, with notes that say so from now on.
    void note_received();
    // Signed `forgotten` notes: the snapshots no longer exist; their space comes back with a collection.
    void forget(const std::vector<SnapshotId>& ids, const std::string& reason);

private:
    Repository(std::unique_ptr<ForeseenStore> store, World& world, std::string client_folder, Keyring keys,
               std::optional<Replica> replica);

    std::optional<Snapshot> noted(const CommittedSnapshot& committed);
    std::optional<Snapshot> decoded(const CommittedSnapshot& committed);
    bool has_received_note(const SnapshotId& id) const;
    void sort_snapshots();
    Nanoseconds came_at(const CommittedSnapshot& committed) const;
    void warn_once(const std::string& text);
    void warn_of_what_is_not_believed();
    void start_from_checkpoint(const std::vector<std::string>& days);
    void foresee_collections();
    void read_notes(NotesFrom from);
    void read_proof(const SnapshotNote& note, Snapshot& snapshot) const;

    std::unique_ptr<Replica> replica_;
    ReplicaGuard* guard_ = nullptr;  // is store_, for a replica
    ForeseenStore* foreseen_;
    std::unique_ptr<Store> store_;
    World& world_;
    std::string client_folder_;
    codec::Compression compression_ = codec::usual_compression;
    std::unique_ptr<Keyring> keys_;
    std::unique_ptr<LogBook> log_;
    std::unique_ptr<Index> index_;
    std::unique_ptr<ChunkReader> chunks_;
    std::unique_ptr<NoteBook> notes_;
    std::vector<Snapshot> snapshots_;
    std::map<SnapshotId, NoRecord> without_record_;
    std::set<SnapshotId> forgotten_;
    std::set<std::string> warned_;
    std::uint64_t collections_ = 0;
    std::set<PackId> excluded_before_;  // by those
};

}  // namespace holdfast::repo
