#include "repo/snapshot_codec.h"

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::string_view key_purpose = "holdfast snapshot key";

struct Recipient {
    std::uint8_t part;  // 1: P, 2: R
    const crypto::PublicKey& key;
};

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
    writer.u8(snapshot.partial ? 1 : 0);
    writer.raw(snapshot.root.view());
    writer.raw(snapshot.state.view());
    writer.varint(snapshot.facts.size());
    for (const ChunkId& id : snapshot.facts) writer.raw(id.view());
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
    snapshot.partial = reader.u8() == 1;
    snapshot.root = ChunkId::from(reader.raw(ChunkId::size));
    snapshot.state = ChunkId::from(reader.raw(ChunkId::size));
    const std::size_t facts = reader.count(ChunkId::size);
    for (std::size_t i = 0; i < facts; ++i) snapshot.facts.push_back(ChunkId::from(reader.raw(ChunkId::size)));
    reader.expect_done();
}

}  // namespace

Bytes encode_snapshot(const Keyring& keys, const Snapshot& snapshot, Random& random) {
    Bytes private_part;
    ByteWriter names(private_part);
    names.varint(snapshot.describes.size());
    for (const std::string& line : snapshot.describes) names.string(line);

    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    const Secret content_key(random.array<crypto::key_bytes>());
    const Secret reachable_key(random.array<crypto::key_bytes>());
    const std::array recipients{Recipient{1, keys.config().reader}, Recipient{2, keys.config().reader},
                                Recipient{2, keys.config().maintainer}, Recipient{2, keys.own().box}};
    writer.varint(recipients.size());
    for (const Recipient& recipient : recipients) {
        writer.u8(recipient.part);
        writer.raw(recipient.key);
        writer.string(crypto::seal_to(recipient.key, key_purpose,
                                      (recipient.part == 1 ? content_key : reachable_key).reveal(), random));
    }
    writer.string(crypto::seal(reachable_key, keys.repository().view(), encode_reachable(snapshot)));
    writer.string(crypto::seal(content_key, keys.repository().view(), private_part));
    return sign(SignedKind::snapshot, keys.repository(), keys.secrets().signer, payload);
}

Snapshot decode_snapshot(const Keyring& keys, ByteView record, ByteView provenance) {
    const SignedView view = parse_signed(record, SignedKind::snapshot, "a snapshot's record");
    keys.verify(view, "a snapshot's record");
    ByteReader reader(view.payload, "a snapshot's record");
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    std::array<std::optional<Secret>, 3> part_key;
    std::vector<const crypto::BoxKey*> ours{&keys.secrets().box};
    if (keys.secrets().reader) ours.push_back(&*keys.secrets().reader);
    if (keys.secrets().maintainer) ours.push_back(&*keys.secrets().maintainer);
    const std::size_t recipients = reader.count(34);
    for (std::size_t i = 0; i < recipients; ++i) {
        const std::uint8_t part = reader.u8();
        const auto recipient = reader.array<32>();
        const ByteView sealed = reader.string_view();
        if (part != 1 && part != 2) continue;
        for (const crypto::BoxKey* box : ours)
            if (!part_key[part] && box->public_key() == recipient) part_key[part] = box->open(key_purpose, sealed);
    }
    const ByteView reachable = reader.string_view();
    const ByteView content = reader.string_view();
    reader.expect_done();
    const auto open = [&](const std::optional<Secret>& key, ByteView sealed) {
        auto plain = crypto::open(*key, keys.repository().view(), sealed);
        if (!plain) throw Error{Code::corrupt, "a part of a snapshot's record does not authenticate"};
        return std::move(*plain);
    };
    if (!part_key[2]) throw Error{Code::denied, "this key may not read snapshots' records"};
    Snapshot snapshot;
    snapshot.signer = view.author;
    decode_reachable(open(part_key[2], reachable), snapshot);
    if (part_key[1]) {
        const Bytes lines = open(part_key[1], content);
        ByteReader names(lines, "a snapshot's record");
        const std::size_t count = names.count(1);
        for (std::size_t i = 0; i < count; ++i) snapshot.describes.push_back(names.string());
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
