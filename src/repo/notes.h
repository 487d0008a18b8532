// repo/notes.h: what is learnt about a snapshot after its COMMIT.
//
// Shape    notes/<snapshot>/<n>: signed, append-only, n dense from 0
// Errors   none about what lies there: what is no note is `unreadable`, holds its number and says nothing
// Source   doc/format/notes.md; review.md C6
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "repo/keys.h"

namespace holdfast::repo {

enum class NoteKind : std::uint8_t {
    unreadable = 0,  // is not in the format: what lies there is no note about this snapshot
    received = 1,
    forgotten = 2,
    hold = 3,
    release = 4,
    flag = 5,
    tag = 6,
    proof = 7,
    run = 8
};

// Instead of a snapshot: runs that ended before there was any.
constexpr SnapshotId no_snapshot{};

struct SnapshotNote {
    NoteKind kind{};
    Nanoseconds time = 0;  // received: the instant itself; else when the note was written
    std::string text;      // reason, name of the hold, tag
    SignerId author;
    Bytes stored;  // as it was signed
};
SnapshotNote decode_note(ByteView stored, const Keyring& keys, const SnapshotId& snapshot, std::uint64_t number);
// The same, where corrupt makes it `unreadable`, with the reason as its text.
SnapshotNote note_of(ByteView stored, const Keyring& keys, const SnapshotId& snapshot, std::uint64_t number);

class NoteBook {
public:
    NoteBook(Store& store, const Keyring& keys, World& world) : store_(store), keys_(keys), world_(world) {}
    // Reads the notes that a listing shows and that are not known yet. A listing that misses one is not dangerous:
    // the snapshot then counts as not forgotten.
    void read(const std::function<bool(const SnapshotId&)>& wanted = {});
    // The further notes of these, by name.
    void read_on(std::vector<SnapshotId> snapshots);
    const std::vector<SnapshotNote>& of(const SnapshotId& snapshot) const;
    void append(const SnapshotId& snapshot, NoteKind kind, Nanoseconds time, const std::string& text);

    using Notes = std::map<SnapshotId, std::vector<SnapshotNote>>;
    const Notes& all() const { return notes_; }
    void start_from(Notes notes) { notes_ = std::move(notes); }

private:
    Store& store_;
    const Keyring& keys_;
    World& world_;
    Notes notes_;
};

}  // namespace holdfast::repo
