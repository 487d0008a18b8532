#include "repo/notes.h"

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::repo {

SnapshotNote NoteBook::decode(ByteView bytes, const SnapshotId& snapshot, const std::string& object) const {
    const SignedView view = parse_signed(bytes, SignedKind::note, object);
    keys_.verify(view, object);
    ByteReader reader(view.payload, object);
    if (SnapshotId::from(reader.raw(SnapshotId::size)) != snapshot) reader.fail("it is a note about another snapshot");
    SnapshotNote note;
    const std::uint8_t kind = reader.u8();
    if (kind < 1 || kind > 8) reader.fail("it is a note of a kind that this version does not know");
    note.kind = static_cast<NoteKind>(kind);
    note.time = reader.zigzag();
    note.text = reader.string();
    note.author = view.author;
    return note;
}

void NoteBook::read() {
    std::map<SnapshotId, std::uint64_t> counts;
    store_.list(names::notes, [&](const ObjectInfo& object) {
        const std::string_view rest = std::string_view(object.name).substr(names::notes.size());
        const std::size_t slash = rest.find('/');
        if (slash == std::string_view::npos) return;
        const auto snapshot = SnapshotId::from_hex_text(rest.substr(0, slash));
        const auto number = names::parse_number(rest.substr(slash + 1));
        if (snapshot && number) counts[*snapshot] = std::max(counts[*snapshot], *number + 1);
    });
    for (const auto& [snapshot, count] : counts) {
        auto& known = notes_[snapshot];
        while (known.size() < count) {
            const std::string object = names::note(snapshot, known.size());
            const auto bytes = store_.read(object);
            if (!bytes) break;
            known.push_back(decode(*bytes, snapshot, object));
        }
    }
}

void NoteBook::read_on(const SnapshotId& snapshot) {
    auto& known = notes_[snapshot];
    while (true) {
        const std::string object = names::note(snapshot, known.size());
        const auto bytes = store_.read(object);
        if (!bytes) return;
        known.push_back(decode(*bytes, snapshot, object));
    }
}

const std::vector<SnapshotNote>& NoteBook::of(const SnapshotId& snapshot) const {
    static const std::vector<SnapshotNote> none;
    const auto at = notes_.find(snapshot);
    return at == notes_.end() ? none : at->second;
}

void NoteBook::append(const SnapshotId& snapshot, NoteKind kind, Nanoseconds time, const std::string& text) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.raw(snapshot.view());
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.zigzag(time);
    writer.string(text);
    const Bytes bytes = sign(SignedKind::note, keys_.repository(), keys_.secrets().signer, payload);
    auto& known = notes_[snapshot];
    while (true) {
        const std::string object = names::note(snapshot, known.size());
        if (store_.create(object, bytes) == Created::created) break;
        const auto there = store_.read(object);
        if (!there) throw Error{Code::unreachable, "{} exists but cannot be read", object};
        known.push_back(decode(*there, snapshot, object));
        if (equal(*there, bytes)) return;  // a lost reply: it is our own
    }
    known.push_back(decode(bytes, snapshot, "a new note"));
}

}  // namespace holdfast::repo
