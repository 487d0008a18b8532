#include "repo/snapshot_codec.h"

#include "base/error.h"
#include "repo/parts.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::string_view key_purpose = "holdfast snapshot key";
constexpr std::uint8_t is_partial = 1, is_of_several_instants = 2;

void encode_counts(ByteWriter& writer, const Snapshot& snapshot) {
    for (const std::uint64_t value :
         {snapshot.bytes.logical, snapshot.bytes.read, snapshot.bytes.added, snapshot.bytes.stored,
          snapshot.counts.added, snapshot.counts.changed, snapshot.counts.unchanged, snapshot.counts.failed})
        writer.varint(value);
}

void decode_counts(ByteReader& reader, Snapshot& snapshot) {
    for (std::uint64_t* value :
         {&snapshot.bytes.logical, &snapshot.bytes.read, &snapshot.bytes.added, &snapshot.bytes.stored,
          &snapshot.counts.added, &snapshot.counts.changed, &snapshot.counts.unchanged, &snapshot.counts.failed})
        *value = reader.varint();
}

Bytes encode_reachable(const Snapshot& snapshot) {
    Bytes out;
    ByteWriter writer(out);
    writer.string(snapshot.source);
    writer.string(snapshot.kind);
    writer.string(snapshot.host);
    writer.varint(snapshot.tags.size());
    for (const auto& [key, value] : snapshot.tags) {
        writer.string(key);
        writer.string(value);
    }
    writer.zigzag(snapshot.time);
    writer.varint(snapshot.items);
    encode_counts(writer, snapshot);
    writer.u8(static_cast<std::uint8_t>((snapshot.partial ? is_partial : 0) |
                                        (snapshot.several_instants ? is_of_several_instants : 0)));
    writer.raw(snapshot.root.view());
    writer.raw(snapshot.state.view());
    writer.varint(snapshot.facts.size());
    for (const ChunkId& id : snapshot.facts) writer.raw(id.view());
    if (snapshot.moment) {
        writer.string(snapshot.moment->position.line);
        writer.varint(snapshot.moment->position.at);
        writer.zigzag(snapshot.moment->time);
    }
    return out;
}

void decode_reachable(ByteView bytes, Snapshot& snapshot) {
    ByteReader reader(bytes, "a snapshot's record");
    snapshot.source = reader.string();
    snapshot.kind = reader.string();
    snapshot.host = reader.string();
    const std::size_t tags = reader.count(2);
    for (std::size_t i = 0; i < tags; ++i) {
        const std::string key = reader.string();
        snapshot.tags[key] = reader.string();
    }
    snapshot.time = reader.zigzag();
    snapshot.items = reader.varint();
    decode_counts(reader, snapshot);
    const std::uint8_t marks = reader.u8();
    snapshot.partial = (marks & is_partial) != 0;
    snapshot.several_instants = (marks & is_of_several_instants) != 0;
    snapshot.root = ChunkId::from(reader.raw(ChunkId::size));
    snapshot.state = ChunkId::from(reader.raw(ChunkId::size));
    const std::size_t facts = reader.count(ChunkId::size);
    for (std::size_t i = 0; i < facts; ++i) snapshot.facts.push_back(ChunkId::from(reader.raw(ChunkId::size)));
    if (reader.done()) return;  // of a source without a journal
    Moment& moment = snapshot.moment.emplace();
    moment.position.line = reader.string();
    moment.position.at = reader.varint();
    moment.time = reader.zigzag();
    reader.expect_done();
}

}  // namespace

Bytes encode_snapshot(const Keyring& keys, const Snapshot& snapshot, Random& random) {
    Bytes private_part;
    ByteWriter names(private_part);
    names.varint(snapshot.describes.size());
    for (const std::string& line : snapshot.describes) names.string(line);
    names.varint(snapshot.left_out.size());
    for (const std::string& path : snapshot.left_out) names.string(path);

    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    write_parts(writer, keys, key_purpose, encode_reachable(snapshot), private_part, random);
    return sign(SignedKind::snapshot, keys.repository(), keys.secrets().signer, payload);
}

Snapshot decode_snapshot(const Keyring& keys, ByteView record, ByteView provenance) {
    const SignedView view = parse_signed(record, SignedKind::snapshot, "a snapshot's record");
    keys.verify(view, "a snapshot's record");
    ByteReader reader(view.payload, "a snapshot's record");
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    const OpenedParts parts = read_parts(reader, keys, key_purpose, "a snapshot's record");
    reader.expect_done();
    if (!parts.reachable) throw Error{Code::denied, "this key may not read snapshots' records"};
    Snapshot snapshot;
    snapshot.signer = view.author;
    decode_reachable(*parts.reachable, snapshot);
    if (parts.content) {
        ByteReader names(*parts.content, "a snapshot's record");
        const auto list = [&] {
            std::vector<std::string> out(names.count(1));
            for (std::string& each : out) each = names.string();
            return out;
        };
        snapshot.describes = list();
        if (!names.done())
            snapshot.left_out = list();
        else if (snapshot.partial)  // an older record: what it lacks may be anywhere
            snapshot.left_out = {"/"};
    }
    snapshot.id = SnapshotId{crypto::sha256(record)};
    if (!provenance.empty()) {
        const Credential* author = keys.find(view.author);
        if (author == nullptr || author->role != Role::full)
            throw Error{Code::corrupt, "a copy was committed by someone who may not copy"};
        snapshot.id = SnapshotId{crypto::sha256(provenance)};
        snapshot.origin = snapshot.id;
    }
    snapshot.received = snapshot.time;
    return snapshot;
}

}  // namespace holdfast::repo
