#include "repo/notes.h"

#include "base/error.h"
#include "repo/names.h"
#include "store/read_many.h"

namespace holdfast::repo {

SnapshotNote decode_note(ByteView stored, const Keyring& keys, const SnapshotId& snapshot, std::uint64_t number) {
    const std::string object = names::note(snapshot, number);
    const SignedView view = parse_signed(stored, SignedKind::note, object);
    keys.verify(view, object);
    ByteReader reader(view.payload, object);
    if (SnapshotId::from(reader.raw(SnapshotId::size)) != snapshot) reader.fail("it is a note about another snapshot");
    SnapshotNote note;
    const std::uint8_t kind = reader.u8();
    if (kind < 1 || kind > 8) reader.fail("it is a note of a kind that this version does not know");
    note.kind = static_cast<NoteKind>(kind);
    note.time = reader.zigzag();
    note.text = reader.string();
    if (!reader.done() && reader.varint() != number) reader.fail("it is the note of another place");
    reader.expect_done();
    note.author = view.author;
    note.stored = to_bytes(stored);
    return note;
}

SnapshotNote note_of(ByteView stored, const Keyring& keys, const SnapshotId& snapshot, std::uint64_t number) {
    try {
        return decode_note(stored, keys, snapshot, number);
    } catch (const Error& error) {
        if (error.code() != Code::corrupt) throw;
        return {.kind = NoteKind::unreadable, .text = error.message(), .author = {}, .stored = to_bytes(stored)};
    }
}

void NoteBook::read(const std::function<bool(const SnapshotId&)>& wanted) {
    std::map<SnapshotId, std::uint64_t> counts;
    store_.list(names::notes, [&](const ObjectInfo& object) {
        const std::string_view rest = std::string_view(object.name).substr(names::notes.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) return;
        const auto snapshot = SnapshotId::from_hex_text(rest.substr(0, slash));
        const auto number = names::parse_number(rest.substr(slash + 1));
        if (snapshot && number && (!wanted || wanted(*snapshot)))
            counts[*snapshot] = std::max(counts[*snapshot], *number + 1);
    });
    std::vector<std::string> objects;
    for (const auto& [snapshot, count] : counts)
        for (std::uint64_t number = notes_[snapshot].size(); number < count; ++number)
            objects.push_back(names::note(snapshot, number));
    const auto found = read_many(store_, objects);
    std::size_t at = 0;
    for (const auto& [snapshot, count] : counts) {
        auto& known = notes_[snapshot];
        bool dense = true;
        for (std::uint64_t number = known.size(); number < count; ++number, ++at) {
            dense = dense && found[at];
            if (dense) known.push_back(note_of(*found[at], keys_, snapshot, number));
        }
    }
}

void NoteBook::read_on(std::vector<SnapshotId> snapshots) {
    while (!snapshots.empty()) {
        std::vector<std::string> objects;
        for (const SnapshotId& snapshot : snapshots) objects.push_back(names::note(snapshot, notes_[snapshot].size()));
        const auto found = read_many(store_, objects);
        std::vector<SnapshotId> with_more;
        for (std::size_t i = 0; i < snapshots.size(); ++i) {
            if (!found[i]) continue;
            auto& known = notes_[snapshots[i]];
            known.push_back(note_of(*found[i], keys_, snapshots[i], known.size()));
            with_more.push_back(snapshots[i]);
        }
        snapshots = std::move(with_more);
    }
}

const std::vector<SnapshotNote>& NoteBook::of(const SnapshotId& snapshot) const {
    static const std::vector<SnapshotNote> none;
    const auto at = notes_.find(snapshot);
    return at == notes_.end() ? none : at->second;
}

void NoteBook::append(const SnapshotId& snapshot, NoteKind kind, Nanoseconds time, const std::string& text) {
    auto& known = notes_[snapshot];
    while (true) {
        const std::uint64_t number = known.size();
        Bytes payload;
        ByteWriter writer(payload);
        writer.raw(snapshot.view());
        writer.u8(static_cast<std::uint8_t>(kind));
        writer.zigzag(time);
        writer.string(text);
        writer.varint(number);
        const Bytes bytes = sign(SignedKind::note, keys_.repository(), keys_.secrets().signer, payload);
        const std::string object = names::note(snapshot, number);
        const bool created = store_.create(object, bytes) == Created::created;
        const std::optional<Bytes> there = created ? bytes : store_.read(object);
        if (!there) throw Error{Code::unreachable, "{} exists but cannot be read", object};
        known.push_back(note_of(*there, keys_, snapshot, number));
        if (created || equal(*there, bytes)) return;  // not created, but equal: a lost reply
    }
}

}  // namespace holdfast::repo
