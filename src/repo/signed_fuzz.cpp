// Decoders that stand behind a signature or a seal: the input is what a key holder signed or sealed, so that it is
// reached. A signature says who wrote something, never that it makes sense.
#include "base/error.h"
#include "repo/chunk_reader.h"
#include "repo/collection.h"
#include "repo/index.h"
#include "repo/journal.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/names.h"
#include "repo/notes.h"
#include "repo/parts.h"
#include "repo/replica.h"
#include "repo/segment_pack.h"
#include "repo/snapshot_codec.h"
#include "repo/tree.h"
#include "testing/small_repository.h"

using namespace holdfast;
using namespace holdfast::repo;

namespace {

// One empty repository whose keys sign; each call works on a store of its own.
class Bench {
public:
    static Bench& get() {
        static Bench bench;
        return bench;
    }
    const Keyring& keys() const { return repository_->keys(); }
    Repository& repository() { return *repository_; }
    World& world() { return small_.sim.world(); }
    Bytes by_us(SignedKind kind, ByteView payload) const {
        return sign(kind, keys().repository(), keys().secrets().signer, payload);
    }
    Bytes by_root(SignedKind kind, ByteView payload) const {
        return sign(kind, keys().repository(), *keys().secrets().root, payload);
    }
    // What the repository holds, and this.
    std::unique_ptr<MemoryStore> store_with(const std::string& name, ByteView bytes) {
        auto out = std::make_unique<MemoryStore>(small_.sim.clock);
        out->set_objects(small_.store.objects());
        out->create(name, bytes);
        return out;
    }

private:
    testing_support::SmallRepository small_;
    std::unique_ptr<Repository> repository_ = small_.open();
};

template <class Parse>
void expect_corrupt_or_success(const Parse& parse) {
    try {
        parse();
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt || error.code() == Code::newer_format);
    }
}

// The first two bytes say how long the first of two parts is.
std::pair<ByteView, ByteView> two_parts(ByteView input) {
    if (input.size() < 2) return {input, {}};
    const std::size_t first = std::min<std::size_t>(input[0] + 256U * input[1], input.size() - 2);
    return {input.subspan(2, first), input.subspan(2 + first)};
}

}  // namespace

// What stands behind the root's public key.
void fuzz_repo_config_payload(holdfast::ByteView input) {
    Bytes payload = to_bytes(Bench::get().keys().config().root);
    append(payload, input);
    Bytes object = to_bytes(as_bytes("holdfast"));
    ByteWriter(object).u16(format_version);
    append(object, Bench::get().by_root(SignedKind::config, payload));
    expect_corrupt_or_success([&] { decode_config(object); });
}

void fuzz_repo_credential(holdfast::ByteView input) {
    const Keyring& keys = Bench::get().keys();
    const Bytes object = Bench::get().by_root(SignedKind::credential, input);
    expect_corrupt_or_success([&] { decode_credential(object, keys.repository(), keys.config().root); });
}

void fuzz_repo_key_slot(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const auto store = bench.store_with(names::key_slot(bench.keys().own_id(), 1), input);
    expect_corrupt_or_success([&] { list_slots(*store, bench.keys().config()); });
}

// The type of an entry, then its body, as the next entry of our own lane.
void fuzz_repo_log_entry(holdfast::ByteView input) {
    if (input.empty()) return;
    Bench& bench = Bench::get();
    const LaneName lane{bench.keys().own_id(), 0};
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(input[0]);
    writer.raw(lane.signer.view());
    writer.u32(lane.lane);
    writer.u64(0);
    writer.raw(crypto::Digest{});
    writer.zigzag(0);
    writer.string(input.subspan(1));
    const auto store =
        bench.store_with(names::log_entry(lane.signer, 0, 0), bench.by_us(SignedKind::log_entry, payload));
    Keyring keys = bench.keys();
    LogBook log(*store, keys, bench.world());
    expect_corrupt_or_success([&] { log.read(); });
}

void fuzz_repo_note(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const SnapshotId snapshot;
    Bytes payload = to_bytes(snapshot.view());
    append(payload, input);
    const auto store = bench.store_with(names::note(snapshot, 0), bench.by_us(SignedKind::note, payload));
    NoteBook notes(*store, bench.keys(), bench.world());
    expect_corrupt_or_success([&] { notes.read(); });
}

void fuzz_repo_condemned(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const auto store = bench.store_with(names::condemned(1), bench.by_us(SignedKind::condemned, input));
    expect_corrupt_or_success([&] { read_condemned(*store, bench.keys(), 1); });
}

void fuzz_repo_verdict(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const auto store = bench.store_with(names::verdict(1), bench.by_us(SignedKind::verdict, input));
    expect_corrupt_or_success([&] { read_verdict(*store, bench.keys(), 1); });
}

void fuzz_repo_snapshot_payload(holdfast::ByteView input) {
    const Bytes record = Bench::get().by_us(SignedKind::snapshot, input);
    try {
        decode_snapshot(Bench::get().keys(), record, {});
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt || error.code() == Code::denied);
    }
}

// The R part, then the P part, each sealed to us as doc/format/snapshot.md says.
void fuzz_repo_snapshot_parts(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const Keyring& keys = bench.keys();
    const auto [reachable, content] = two_parts(input);
    const Secret key(bench.world().random.array<crypto::key_bytes>());
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(1);
    writer.varint(2);
    for (const std::uint8_t part : std::array<std::uint8_t, 2>{1, 2}) {
        writer.u8(part);
        writer.raw(keys.config().reader);
        writer.string(
            crypto::seal_to(keys.config().reader, "holdfast snapshot key", key.reveal(), bench.world().random));
    }
    writer.string(crypto::seal(key, keys.repository().view(), reachable));
    writer.string(crypto::seal(key, keys.repository().view(), content));
    const Bytes record = bench.by_us(SignedKind::snapshot, payload);
    expect_corrupt_or_success([&] { decode_snapshot(keys, record, {}); });
}

// The number of chunks that the FRAGMENT names (one byte), where in the header the tag of the block goes (two: it is
// not known before the block is sealed), the header, the block's records.
void fuzz_repo_index_fragment(holdfast::ByteView input) {
    if (input.size() < 3) return;
    Bench& bench = Bench::get();
    const std::size_t tag_at = input[1] + 256U * input[2];
    const auto [header, block] = two_parts(input.subspan(3));
    const std::array<std::uint8_t, 16> salt{};
    const auto key = [&](std::string_view part) {
        return crypto::derive(bench.keys().index_key().reveal(), salt, part);
    };
    Bytes bytes = to_bytes(as_bytes("HFIX"));
    bytes.push_back(1);
    append(bytes, salt);
    const Bytes sealed_block = crypto::seal(key("block 0"), {}, block);
    append(bytes, sealed_block);
    Bytes told = to_bytes(header);
    if (told.size() >= tag_at + crypto::tag_bytes)
        std::memcpy(told.data() + tag_at, sealed_block.data() + sealed_block.size() - crypto::tag_bytes,
                    crypto::tag_bytes);
    const Bytes sealed = crypto::seal(key("header"), {}, told);
    append(bytes, sealed);
    ByteWriter(bytes).u32(static_cast<std::uint32_t>(sealed.size()));

    KnownFragment known{bench.keys().own_id(), {}};
    known.body.id = FragmentId{crypto::sha256(bytes)};
    known.body.bytes = bytes.size();
    known.body.header_bytes = static_cast<std::uint32_t>(sealed.size());
    known.body.header_hash = crypto::sha256(sealed);
    known.body.chunks = input[0];
    const auto store = bench.store_with(names::fragment(known.body.id), bytes);
    expect_corrupt_or_success([&] {
        Fragment fragment(*store, bench.keys(), known);
        std::vector<Location> found;
        fragment.scan([&](const ChunkPrefix& id, const Location&) { fragment.find(id, found); });
        fragment.find(ChunkPrefix{}, found);
        const Fragment::Asked asked;
        fragment.find_all(std::span(&asked, 1), [](std::size_t, const Location&) {});
    });
}

// The R part and the P part of a leaf or an inner node.
void fuzz_repo_tree_parts(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const auto [reachable, content] = two_parts(input);
    const Node node{to_bytes(reachable), to_bytes(content)};
    TreeReader reader(bench.keys(), bench.repository().chunks(), {});
    expect_corrupt_or_success([&] { check_node_syntax(reachable, content); });
    expect_corrupt_or_success([&] {
        if (TreeReader::is_leaf(node))
            reader.entries_of(node);
        else
            TreeReader::children_of(node);
    });
}

// What stands in a head before its sealed part, then what is sealed.
void fuzz_repo_segment_head(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    const auto [fields, names] = two_parts(input);
    Bytes payload = to_bytes(fields);
    ByteWriter writer(payload);
    write_parts(writer, bench.keys(), "holdfast journal key", names, {}, bench.world().random);
    const Bytes head = bench.by_us(SignedKind::segment, payload);
    try {
        decode_head(bench.keys(), head, "a segment");
    } catch (const Error& error) {
        HF_ASSERT(error.code() == Code::corrupt || error.code() == Code::denied);
    }
}

void fuzz_repo_segment_table(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(1);
    writer.u64(7);
    writer.varint(0);
    write_parts(writer, bench.keys(), "holdfast journal table key", input, {}, bench.world().random);
    const Bytes table = bench.by_us(SignedKind::segment_pack, payload);
    expect_corrupt_or_success([&] { decode_segment_table(bench.keys(), table, "a table"); });
}

// The lanes of a cut.
void fuzz_repo_replica_cut(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(1);
    writer.u8(1);
    writer.varint(0);
    writer.zigzag(0);
    writer.string(bench.repository().signed_credential());
    writer.raw(input);
    const auto store = bench.store_with(names::cut(0), bench.by_us(SignedKind::replica_mark, payload));
    expect_corrupt_or_success([&] { read_replica(*store, bench.keys().config()); });
}

// An object of a journal as a replication gets it: a segment, or a pack of them.
void fuzz_repo_segments(holdfast::ByteView input) {
    Bench& bench = Bench::get();
    expect_corrupt_or_success([&] { verify_segments(bench.keys(), input, false, "a segment"); });
    expect_corrupt_or_success([&] { verify_segments(bench.keys(), input, true, "a pack of segments"); });
    const Bytes head = bench.by_us(SignedKind::segment, input);
    Bytes object;
    ByteWriter writer(object);
    writer.u32(static_cast<std::uint32_t>(head.size()));
    writer.raw(head);
    expect_corrupt_or_success([&] { verify_segments(bench.keys(), object, false, "a segment"); });
}
