#include "repo/segment_pack.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/error.h"
#include "repo/journal.h"
#include "repo/names.h"
#include "repo/parts.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::string_view key_purpose = "holdfast journal table key";
constexpr std::size_t table_guess = 64 * 1024;
constexpr std::size_t table_max = 64 * 1024 * 1024;

using Group = std::span<const Segment>;

// Numbers of lines and reasons, so that each stands in a table once.
class Texts {
public:
    std::uint64_t number_of(const std::string& text) {
        const auto [at, fresh] = numbers_.try_emplace(text, all_.size());
        if (fresh) all_.push_back(text);
        return at->second;
    }
    const std::vector<std::string>& all() const { return all_; }

private:
    std::map<std::string, std::uint64_t> numbers_;
    std::vector<std::string> all_;
};

bool is_single(const Segment& segment) {
    return segment.object == names::segment(segment.source_tag, segment.lane, segment.number);
}

// Runs of single segments of a lane, each as large as a pack may be, the last of a lane left out.
std::vector<Group> groups_of(const Journal& journal, const CompactLimits& limits, Nanoseconds now) {
    const std::vector<Segment>& all = journal.segments();
    std::vector<Group> out;
    std::size_t begin = 0;
    while (begin < all.size()) {
        std::size_t end = begin;
        std::uint64_t bytes = 0;
        while (end + 1 < all.size() && is_single(all[end]) && all[end + 1].lane == all[end].lane &&
               (end == begin || all[end].number == all[end - 1].number + 1) &&
               bytes + all[end].stored() <= limits.pack_bytes)
            bytes += all[end++].stored();
        const bool full = end < all.size() && bytes + all[end].stored() > limits.pack_bytes;
        const bool old = end > begin && now - all[begin].written >= limits.age;
        if (end - begin >= limits.segments_min && (full || old)) out.push_back(Group(all).subspan(begin, end - begin));
        begin = std::max(end, begin + 1);
    }
    return out;
}

// Nothing: it is gone, and another compaction was here.
std::optional<Bytes> read_single(const Repository& repository, const Segment& segment) {
    auto bytes = repository.store().read(segment.object);
    if (!bytes) return std::nullopt;
    if (bytes->size() != segment.stored() ||
        crypto::sha256(ByteView(*bytes).subspan(4, segment.head_bytes)) != segment.hash ||
        crypto::sha256(ByteView(*bytes).subspan(4 + segment.head_bytes)) != segment.section_hash)
        throw Error{Code::corrupt, "{} is not what its head says", segment.object}.hint("Run `holdfast check`.");
    return bytes;
}

std::string pack_name(Group group) {
    const Segment& first = group.front();
    return names::segment_pack(first.source_tag, first.lane, first.number, group.back().number);
}

// False: it stays as it is.
bool compact(const Repository& repository, Group group) {
    std::vector<Segment> rows(group.begin(), group.end());
    std::uint64_t bytes = 0;
    for (Segment& row : rows) row.offset = std::exchange(bytes, bytes + row.stored());
    const Bytes table = encode_segment_table(repository.keys(), rows, repository.world().random);
    Bytes out;
    out.reserve(sizeof(std::uint32_t) + table.size() + bytes);
    ByteWriter writer(out);
    writer.u32(static_cast<std::uint32_t>(table.size()));
    writer.raw(table);
    for (const Segment& row : rows) {
        const auto single = read_single(repository, row);
        if (!single) return false;
        writer.raw(*single);
    }
    const std::string object = pack_name(group);
    repository.store().create(object, out);  // when it exists, another collector was as far as this
    const auto there = read_segment_pack(repository, object);
    const bool same = there && std::ranges::equal(*there, group, {}, &Segment::hash, &Segment::hash);
    if (!same)
        throw Error{Code::corrupt, "{} does not hold the segments that its name says", object}.unharmed(
            "the segments are still there");
    for (const Segment& segment : group) repository.store().remove(segment.object);
    return true;
}

}  // namespace

Bytes encode_segment_table(const Keyring& keys, const std::vector<Segment>& segments, Random& random) {
    Texts texts;
    Bytes rows;
    ByteWriter row(rows);
    row.string(segments.front().source);
    row.varint(segments.size());
    for (const Segment& segment : segments) {
        row.varint(segment.offset);
        row.u32(segment.head_bytes);
        row.raw(segment.hash);
        row.raw(segment.author.view());
        row.varint(texts.number_of(segment.first.position.line));
        row.varint(texts.number_of(segment.last.position.line));
        row.varint(texts.number_of(segment.why));
        encode_fields(row, segment);
    }
    row.varint(texts.all().size());
    for (const std::string& text : texts.all()) row.string(text);

    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    writer.u64(segments.front().source_tag);
    writer.varint(segments.front().lane);
    write_parts(writer, keys, key_purpose, rows, {}, random);
    return sign(SignedKind::segment_pack, keys.repository(), keys.secrets().signer, payload);
}

std::optional<std::vector<Segment>> decode_segment_table(const Keyring& keys, ByteView bytes, std::string_view what) {
    const SignedView view = parse_signed(bytes, SignedKind::segment_pack, what);
    keys.verify(view, what);
    if (!keys.may_collect(view.author)) return std::nullopt;
    ByteReader reader(view.payload, what);
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    const std::uint64_t tag = reader.u64();
    const auto lane = static_cast<std::uint32_t>(reader.varint());
    const OpenedParts parts = read_parts(reader, keys, key_purpose, what);
    reader.expect_done();
    if (!parts.reachable) throw Error{Code::denied, "this key may not read {}", what};

    ByteReader row(*parts.reachable, what);
    const std::string source = row.string();
    std::vector<Segment> out;
    struct Texts {
        std::uint64_t first, last, why;
    };
    std::vector<Texts> numbers;
    const std::size_t count = row.count(100);
    for (std::size_t i = 0; i < count; ++i) {
        Segment& segment = out.emplace_back();
        segment.source_tag = tag;
        segment.lane = lane;
        segment.source = source;
        segment.offset = row.varint();
        segment.head_bytes = row.u32();
        segment.hash = row.array<32>();
        segment.author = SignerId::from(row.raw(SignerId::size));
        Texts& text = numbers.emplace_back();
        text.first = row.varint();
        text.last = row.varint();
        text.why = row.varint();
        decode_fields(row, segment);
        if (segment.head_bytes > segment_head_max) row.fail("the length of a head makes no sense");
    }
    std::vector<std::string> texts;
    const std::size_t text_count = row.count(1);
    for (std::size_t i = 0; i < text_count; ++i) texts.push_back(row.string());
    row.expect_done();
    const auto text_of = [&](std::uint64_t number) -> const std::string& {
        if (number >= texts.size()) row.fail("it refers to a text that it does not have");
        return texts[number];
    };
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i].first.position.line = text_of(numbers[i].first);
        out[i].last.position.line = text_of(numbers[i].last);
        out[i].why = text_of(numbers[i].why);
    }
    return out;
}

std::optional<std::vector<Segment>> read_segment_pack(const Repository& repository, const std::string& object) {
    Store& store = repository.store();
    auto bytes = store.read_range(object, 0, table_guess);
    if (!bytes) return std::vector<Segment>{};  // gone since it was listed
    ByteReader reader(*bytes, object);
    const std::size_t table_bytes = reader.u32();
    if (table_bytes > table_max) reader.fail("the length of its table makes no sense");
    if (4 + table_bytes > bytes->size()) bytes = store.read_range(object, 0, 4 + table_bytes);
    if (!bytes || bytes->size() < 4 + table_bytes) throw Error{Code::corrupt, "{} ends within its table", object};
    auto out = decode_segment_table(repository.keys(), ByteView(*bytes).subspan(4, table_bytes), object);
    if (!out) return std::nullopt;
    for (Segment& segment : *out) {
        segment.object = object;
        segment.offset += 4 + table_bytes;
    }
    return out;
}

Compacted compact_journal(const Repository& repository, const Journal& journal, const CompactLimits& limits) {
    for (const std::string& object : journal.superseded()) repository.store().remove(object);
    Compacted out;
    for (Group group : groups_of(journal, limits, repository.world().clock.now())) {
        repository.world().stop.check();
        // What lies under a name already and is no pack stays: who removed it might remove what another one just put there.
        while (group.size() > 1 && journal.passed_over().contains(pack_name(group)))
            group = group.first(group.size() - 1);
        if (group.size() < limits.segments_min || !compact(repository, group)) continue;
        ++out.packs;
        out.segments += group.size();
    }
    return out;
}

}  // namespace holdfast::repo
