// Makes the seeds of the fuzz functions from what a repository really holds: make_corpus FOLDER. Names of seeds that
// are kept because they once failed are never numbers, so that they stay.
#include <algorithm>
#include <deque>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "engine/back_up.h"
#include "engine/maintain.h"
#include "repo/chunk_reader.h"
#include "repo/index.h"
#include "repo/journal.h"
#include "repo/keys.h"
#include "repo/log.h"
#include "repo/names.h"
#include "repo/parts.h"
#include "repo/segment_pack.h"
#include "repo/state.h"
#include "repo/tree.h"
#include "testing/memory_source.h"
#include "testing/small_repository.h"

namespace holdfast {
namespace {

using namespace repo;

constexpr std::size_t seed_bytes_max = 6000;
constexpr std::size_t seeds_max = 6;

Bytes in_two_parts(ByteView first, ByteView second) {
    Bytes out;
    ByteWriter writer(out);
    writer.u16(static_cast<std::uint16_t>(first.size()));
    writer.raw(first);
    writer.raw(second);
    return out;
}

class Corpus {
public:
    explicit Corpus(std::string folder) : folder_(std::move(folder)) {}

    void make() {
        fill();
        repository_ = small_.open();
        from_keys();
        from_logs();
        from_journal();
        for (const std::string& name : small_.store.names("notes/"))
            seed("fuzz_repo_note", payload(name, SignedKind::note).subspan(SnapshotId::size));
        seed("fuzz_repo_condemned", payload(names::condemned(1), SignedKind::condemned));
        seed("fuzz_repo_verdict", payload(names::verdict(1), SignedKind::verdict));
        for (const std::string prefix : {"data/", "meta/", "state/"})
            for (const std::string& name : small_.store.names(prefix)) seed("fuzz_repo_pack", object(name));
        for (const std::string& name : small_.store.names("index/")) from_fragment(object(name));
        for (const Snapshot& snapshot : repository_->snapshots()) {
            from_tree(snapshot.root);
            for (const ChunkId& id : state_chunks(repository_->chunks(), snapshot.state))
                seed("fuzz_repo_state", repository_->chunks().read_state(id));
        }
        for (const CommittedSnapshot& snapshot : repository_->log().snapshots()) from_record(snapshot.record);
        from_replica();
        from_elsewhere();
    }

private:
    // The first ones that are small; a large seed is slow and finds no more.
    void seed(const std::string& function, ByteView bytes) {
        std::size_t& number = numbers_[function];
        if (bytes.size() > seed_bytes_max || number == seeds_max) return;
        std::filesystem::create_directories(folder_ + "/" + function);
        write_file_durably(fmt::format("{}/{}/{}", folder_, function, number++), bytes, 0644);
    }
    ByteView object(const std::string& name) {
        kept_.push_back(*small_.store.read(name));
        return kept_.back();
    }
    ByteView payload(const std::string& name, SignedKind kind) {
        const ByteView bytes = object(name);
        if (signed_.insert(kind).second) seed("fuzz_repo_signed", bytes);
        return parse_signed(bytes, kind, name).payload;
    }

    void back_up(const testing_support::MemoryTree& tree, const std::string& name) {
        testing_support::MemorySource source(tree, name);
        source.facts = Facts{"same-view", {{"shop/orders", "rows", "3000"}}};
        engine::Progress progress;
        small_.sim.clock.advance(one_second);
        engine::back_up(source, *small_.open(), {{{"made", "corpus"}}, "host", false, false}, progress);
    }
    // A small source, one with so many items that its tree has inner nodes, and a file with a list of extents.
    void fill() {
        testing_support::MemoryTree tree{{"/a/text", {std::string(3000, 'x')}},
                                         {"/a/noise", {testing_support::noise(1, 900)}},
                                         {"/b/hole", {"x", 1, 100'000}}};
        back_up(tree, "small");
        tree["/a/noise"] = {testing_support::noise(2, 900), 2};
        back_up(tree, "small");
        for (int i = 0; i < 1500; ++i) tree[fmt::format("/many/{}{}", std::string(150, 'n'), i)] = {"one"};
        tree["/large"] = {std::string(20'000'000, 'x')};
        back_up(tree, "large");
        const auto repository = small_.open();
        repository->forget({repository->snapshots().front().id}, "corpus");
        engine::Progress progress;
        engine::prune(*repository, {.dry_run = false, .unused_max = 0}, progress);
    }

    void from_keys() {
        const Keyring& keys = repository_->keys();
        const ByteView config = object(names::config);
        seed("fuzz_repo_config", config);
        const SignedView view = parse_signed(config.subspan(10), SignedKind::config, "config");
        seed("fuzz_repo_config_payload", view.payload.subspan(sizeof(crypto::PublicKey)));
        const Bytes credential = encode(keys.own(), keys.repository(), *keys.secrets().root);
        seed("fuzz_repo_credential", parse_signed(credential, SignedKind::credential, "a credential").payload);
        for (const std::string& name : small_.store.names("keys/")) seed("fuzz_repo_key_slot", object(name));
    }
    void from_journal() {
        {
            JournalWriter writer(*repository_, "followed");
            writer.begin({.continues = false, .at = {{"line", 7}, 1}, .why = "it was not followed before"});
            for (std::uint64_t i = 8; i < 40; ++i)
                writer.append({as_bytes("some records"), {{"line", i}, static_cast<Nanoseconds>(i)}, 1, i % 2 == 0});
        }
        Journal journal(*repository_, "followed");
        journal.read();
        for (const std::string& name : small_.store.names("journal/")) {
            seed("fuzz_repo_segments", object(name));
            const ByteView head = object(name).subspan(4, head_bytes_of(object(name), name));
            ByteReader reader(parse_signed(head, SignedKind::segment, name).payload, name);
            const ByteView all = reader.raw(reader.left());
            ByteReader fields(all, name);
            fields.u8();
            fields.u64();
            fields.varint();
            Segment segment;
            decode_fields(fields, segment);
            const ByteView before = all.first(fields.position());
            seed(
                "fuzz_repo_segment_head",
                in_two_parts(before, *read_parts(fields, repository_->keys(), "holdfast journal key", name).reachable));
        }
        const Bytes table = encode_segment_table(repository_->keys(), journal.segments(), small_.sim.world().random);
        ByteReader reader(parse_signed(table, SignedKind::segment_pack, "a table").payload, "a table");
        reader.u8();
        reader.u64();
        reader.varint();
        seed("fuzz_repo_segment_table",
             *read_parts(reader, repository_->keys(), "holdfast journal table key", "a table").reachable);
    }
    void from_logs() {
        std::set<std::uint8_t> types;
        for (const std::string& name : small_.store.names("log/")) {
            ByteReader reader(payload(name, SignedKind::log_entry), name);
            Bytes entry{reader.u8()};
            reader.raw(SignerId::size + 4 + 8 + 32);
            reader.zigzag();
            append(entry, reader.string_view());
            if (types.insert(entry[0]).second) seed("fuzz_repo_log_entry", entry);
        }
        for (const KnownFragment& fragment : repository_->log().fragments())
            seed("fuzz_repo_fragment_entry", encode(fragment.body));
    }
    void from_fragment(ByteView bytes) {
        constexpr std::size_t lead = 4 + 1 + 16;
        const ByteView salt = bytes.subspan(5, 16);
        ByteReader length(bytes.last(4), "an index fragment");
        const std::size_t header_bytes = length.u32();
        const auto key = [&](std::string_view part) {
            return crypto::derive(repository_->keys().index_key().reveal(), salt, part);
        };
        const ByteView sealed = bytes.subspan(bytes.size() - 4 - header_bytes, header_bytes);
        const Bytes header = crypto::open(key("header"), {}, sealed).value();
        const ByteView sealed_block = bytes.subspan(lead, bytes.size() - lead - header_bytes - 4);
        const Bytes block = crypto::open(key("block 0"), {}, sealed_block).value();
        const auto tag = std::ranges::search(header, sealed_block.last(crypto::tag_bytes));
        Bytes out;
        ByteWriter writer(out);
        writer.u8(static_cast<std::uint8_t>(block.size() / 28));
        writer.u16(static_cast<std::uint16_t>(tag.begin() - header.begin()));
        writer.raw(in_two_parts(header, block));
        seed("fuzz_repo_index_fragment", out);
    }
    void from_tree(const ChunkId& id) {
        const Node node = repository_->chunks().read_node(id);
        seed("fuzz_repo_tree_parts", in_two_parts(node.reachable, node.content));
        seed("fuzz_repo_tree_node", node.content);
        for (const Child& child : parse_children(node.reachable))
            if (child.kind != ChildKind::chunk) from_tree(child.id);
    }
    void from_record(ByteView record) {
        const SignedView view = parse_signed(record, SignedKind::snapshot, "a record");
        seed("fuzz_repo_snapshot_payload", view.payload);
        ByteReader reader(view.payload, "a record");
        reader.u8();
        std::array<std::optional<Secret>, 3> keys;
        for (std::size_t left = reader.count(34); left > 0; --left) {
            const std::uint8_t part = reader.u8();
            reader.raw(sizeof(crypto::PublicKey));
            const ByteView sealed = reader.string_view();
            if (!keys.at(part))
                keys.at(part) = repository_->keys().secrets().reader->open("holdfast snapshot key", sealed);
        }
        const ByteView context = repository_->keys().repository().view();
        const Bytes reachable = crypto::open(*keys[2], context, reader.string_view()).value();
        const Bytes content = crypto::open(*keys[1], context, reader.string_view()).value();
        seed("fuzz_repo_snapshot_parts", in_two_parts(reachable, content));
    }
    void from_replica() {
        Bytes lanes;
        ByteWriter writer(lanes);
        writer.varint(2);
        for (const SignerId& signer : {repository_->keys().root_id(), repository_->keys().own_id()}) {
            writer.raw(signer.view());
            writer.u32(0);
            writer.varint(300);
        }
        seed("fuzz_repo_replica_cut", lanes);
    }
    void from_elsewhere() {
        seed("fuzz_source_facts",
             encode_facts({"same-view", {{"shop/orders", "rows", "3000"}, {"", "checksum", "1"}}}));
        seed("fuzz_source_facts", encode_facts({"quiet", {}}));
        Bytes frame;
        codec::Compressor{3}(as_bytes(std::string(2000, 'z') + testing_support::noise(4, 300)), frame);
        seed("fuzz_decompress", frame);
        seed("fuzz_open", crypto::seal_to(repository_->keys().config().reader, "corpus", frame, small_.sim.random));
        seed("fuzz_chunker", as_bytes(std::string("\x10\x20\x30\x40") + testing_support::noise(5, 4000)));
    }

    const std::string folder_;
    testing_support::SmallRepository small_{1, {.chunk_sizes = {4096, 8192, 16384}, .pack_bytes = 64 * 1024}};
    std::unique_ptr<Repository> repository_;
    std::map<std::string, std::size_t> numbers_;
    std::set<SignedKind> signed_;
    std::deque<Bytes> kept_;
};

}  // namespace
}  // namespace holdfast

int main(int count, char** words) {
    if (count != 2) {
        std::cerr << "make_corpus FOLDER\n";
        return 2;
    }
    try {
        holdfast::Corpus(words[1]).make();
    } catch (...) {
        std::cerr << render(holdfast::as_error(std::current_exception()));
        return 1;
    }
}
