// repo/log.h: the signed, dense, hash-chained logs; create-if-absent is the one primitive.
//
// Shape    log/<signer>/<lane>/<slot>; the root's log enrols every signer, further lanes are made by a LANE entry in
//          the signer's lane 0; both carry the gc number known then. An entry carries the hash of the one before it.
// Errors   corrupt (the root's log shows not even our own enrolment), rolled_back (less than this client has seen), fenced.
//          An object that is no entry of its lane is no error: the lane ends before it, until a VOID says that it counts
//          for nothing
// Threads  one thread
// I1  a snapshot exists when its COMMIT is in a log
// I2  nothing here depends on clocks or listings: lanes are read slot by slot until one is absent
// Source   doc/format/log.md, doc/format/collection.md (rules W1 to W3, G1 to G4)
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "repo/keys.h"

namespace holdfast::repo {

enum class EntryType : std::uint8_t {
    enrol = 1,
    lane = 2,
    open = 3,
    fragment = 4,
    commit = 5,
    close = 6,
    fenced = 7,
    stamp = 8,
    voided = 9
};
std::string_view name_of(EntryType type);

struct LaneName {
    SignerId signer;
    std::uint32_t lane = 0;
    auto operator<=>(const LaneName&) const = default;
};

struct LogEntry {
    EntryType type{};
    LaneName lane;
    std::uint64_t slot = 0;
    SignerId author;
    crypto::Digest previous{};
    Nanoseconds time = 0;  // the author's clock: for people, never for safety
    Bytes body;
    crypto::Digest hash{};  // SHA-256 of the stored bytes
};

// What an OPEN says.
struct OpenBody {
    std::uint64_t gc_number = 0;
    std::uint64_t host_tag = 0;  // keyed tag of the host's name
    std::array<std::uint8_t, 16> lock_token{};
    std::string program;
};

// A session is named by the slot of its OPEN, for whoever writes in it and whoever ends it.
struct SessionName {
    LaneName lane;
    std::uint64_t open_slot = 0;
};

// What a FRAGMENT says.
struct FragmentBody {
    FragmentId id;
    std::uint64_t bytes = 0;
    std::uint32_t header_bytes = 0;
    crypto::Digest header_hash{};
    std::uint64_t chunks = 0;
};
Bytes encode(const FragmentBody& body);
FragmentBody decode_fragment(ByteView bytes);

// Where a lane stands, after all its entries that exist.
struct Lane {
    LaneName name;
    std::uint64_t next = 0;  // the first slot not yet taken
    crypto::Digest last_hash{};
    std::uint64_t stamp = 0;  // highest STAMP in it
    bool open = false;        // a session is open in it
    std::uint64_t open_slot = 0;
    OpenBody session;  // of the last OPEN
    Nanoseconds open_time = 0;
    Nanoseconds last_time = 0;
    std::string broken;  // why the object in slot `next` is no entry of this lane; empty: there is none
};

struct KnownFragment {
    SignerId author;
    FragmentBody body;
    Bytes entry{};  // the signed FRAGMENT that says so
};
// From the stored bytes of its entry; corrupt when it is no FRAGMENT of an enrolled author.
KnownFragment known_fragment(ByteView entry, const Keyring& keys);

struct CommittedSnapshot {
    LaneName lane;
    std::uint64_t slot = 0;
    Bytes record;      // the signed snapshot record
    Bytes provenance;  // of a copy: the origin's signed record
    SnapshotId id() const;
};

// Its form, place and signature; whether it follows the one before, and its right, are for who reads the lane. corrupt
LogEntry parse_entry(ByteView stored, const LaneName& lane, std::uint64_t slot, const Keyring& keys);

// COMMIT ends its session (doc/adr/0003).
Bytes encode(const OpenBody& body);
OpenBody decode_open(ByteView bytes);
Bytes encode_stamp(std::uint64_t gc_number);
Bytes encode_commit(ByteView record, ByteView provenance);
CommittedSnapshot decode_commit(const LogEntry& entry);

// What VOID names: the first object that is no entry, by its slot and hash.
struct VoidBody {
    std::uint64_t first = 0;
    crypto::Digest hash{};
};
// Nothing: it is none, or its author may not say so. corrupt
std::optional<VoidBody> decode_void(const LogEntry& entry, const Keyring& keys);

class LogBook {
public:
    LogBook(Store& store, Keyring& keys, World& world);

    // What all entries read so far say together.
    struct State {
        std::map<LaneName, Lane> lanes;
        std::vector<Bytes> enrolments;  // signed credentials
        std::vector<KnownFragment> fragments;
        std::vector<CommittedSnapshot> snapshots;
        std::uint64_t stamp = 0;  // the highest gc number that any entry names
    };
    const State& state() const { return state_; }
    // Reading then goes on from there. For a book that has read nothing.
    void start_from(State state);
    // From here on slots at and beyond these count as absent, those below as there; lanes that are not named are empty.
    void limit_to(std::map<LaneName, std::uint64_t> limit) { limit_ = std::move(limit); }
    void lift_limit() { limit_.reset(); }
    // Reads every lane to its present end. Only what is new is read on later calls.
    void read();
    // Compares with, then raises the high-water marks of this client (`folder` may be empty: none are kept).
    void check_marks(const std::string& folder);
    // Whether this client has read the log of that root, wherever it lay.
    static bool has_marks_of(const Config& config, const std::string& folder);

    const std::map<LaneName, Lane>& lanes() const { return state_.lanes; }
    const std::vector<KnownFragment>& fragments() const { return state_.fragments; }
    const std::vector<CommittedSnapshot>& snapshots() const { return state_.snapshots; }
    std::uint64_t stamp() const { return state_.stamp; }
    std::uint64_t entries_read() const { return entries_read_; }

    // Entries of a session, which its OPEN's slot names. fenced when that session is over.
    void append_in_session(const SessionName& session, EntryType type, ByteView body);
    // FENCED, unless that session ended by itself meanwhile.
    void fence(const SessionName& session);
    // VOID behind all that lies where a broken lane ends: none of it counts, and the lane goes on.
    void void_rest(const LaneName& lane);
    // Who collects must know all of every lane. Null: no lane is broken.
    const Lane* broken_lane() const;
    // STAMP in one lane, by our own signer, unless the lane shows one as high already.
    void stamp_lane(const LaneName& lane, std::uint64_t gc_number);
    // A new session of our own signer: its OPEN is in the log when it returns.
    SessionName open_session(const OpenBody& body);
    // Makes a signer known, in the root's log.
    void enrol(const Credential& credential);

private:
    struct Mark {
        std::uint64_t next = 0;
        std::string hash;  // of the entry before it
    };
    using Marks = std::map<LaneName, Mark>;
    static Marks read_marks(const std::string& path);
    bool shows_less(const Marks::value_type& known) const;
    enum class Appended : std::uint8_t { done, not_wanted, lane_broken };
    // Appends at the lane's end, taking note of what others put there meanwhile; gives up, before each try, when
    // `still_wanted` says no.
    Appended append(const LaneName& lane, EntryType type, ByteView body, const crypto::SigningKey& author,
                    const std::function<bool(const Lane&)>& still_wanted);
    // The same, where a broken lane is an error.
    void append_or_throw(const LaneName& lane, EntryType type, ByteView body, const crypto::SigningKey& author,
                         const std::function<bool(const Lane&)>& still_wanted);
    Bytes signed_entry(LogEntry& entry, const crypto::SigningKey& author) const;
    // What lies in the lane's next slot; false when the lane ends before it.
    bool take(const LaneName& lane, ByteView bytes);
    bool take_void_behind(const LaneName& lane, ByteView bytes);
    LogEntry placed(ByteView bytes, const LaneName& lane, std::uint64_t slot, const crypto::Digest& previous);
    // Slot by slot from `first` on, until one is absent or `each` says enough.
    void read_slots(const LaneName& lane, std::uint64_t first, const std::function<bool(std::uint64_t, Bytes)>& each);
    void absorb(const LogEntry& entry, ByteView stored);
    void enrol_signed(ByteView credential);
    bool is_known_number(std::uint64_t number, const SignerId& signer);
    void foresee_lanes();
    void read_lanes(const std::vector<LaneName>& names);
    void read_lane(const LaneName& lane);
    void check_right(const LogEntry& entry) const;
    Lane& lane_of(const LaneName& name);
    std::uint64_t limit_of(const LaneName& name) const;

    Store& store_;
    Keyring& keys_;
    World& world_;
    State state_;
    std::optional<std::map<LaneName, std::uint64_t>> limit_;
    bool own_enrolment_seen_ = false;
    std::uint64_t entries_read_ = 0;
};

}  // namespace holdfast::repo
