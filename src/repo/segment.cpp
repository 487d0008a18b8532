#include "repo/segment.h"

#include "base/error.h"
#include "repo/chunk_reader.h"
#include "repo/pack.h"
#include "repo/parts.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t version = 1;
constexpr std::string_view key_purpose = "holdfast journal key";
constexpr std::size_t piece_bytes = 4 * 1024 * 1024;
constexpr std::uint8_t flag_starts = 1;
constexpr std::uint8_t flag_ends = 2;
constexpr std::uint8_t flag_open = 4;
constexpr std::uint8_t flag_pauses = 8;

}  // namespace

std::uint64_t source_tag(const Keyring& keys, std::string_view source) {
    return crypto::tag64(keys.name_key(), as_bytes("journal of " + std::string(source)));
}

void encode_fields(ByteWriter& writer, const Segment& segment) {
    writer.varint(segment.number);
    writer.u8(static_cast<std::uint8_t>((segment.starts ? flag_starts : 0) | (segment.ends ? flag_ends : 0) |
                                        (segment.open ? flag_open : 0) | (segment.pauses.empty() ? 0 : flag_pauses)));
    writer.varint(segment.first.position.at);
    writer.zigzag(segment.first.time);
    writer.varint(segment.last.position.at);
    writer.zigzag(segment.last.time);
    writer.zigzag(segment.written);
    writer.varint(segment.records);
    writer.varint(segment.bytes);
    writer.raw(segment.previous);
    writer.raw(segment.section_hash);
    writer.u32(segment.section_bytes);
    writer.u64(segment.host);
    writer.raw(segment.token);
    if (segment.pauses.empty()) return;
    writer.varint(segment.pauses.size());
    for (const Pause& pause : segment.pauses) {
        writer.zigzag(pause.from);
        writer.zigzag(pause.to);
    }
}

void decode_fields(ByteReader& reader, Segment& segment) {
    segment.number = reader.varint();
    const std::uint8_t flags = reader.u8();
    if (flags > (flag_starts | flag_ends | flag_open | flag_pauses))
        reader.fail("it has a flag that this version does not know");
    segment.starts = (flags & flag_starts) != 0;
    segment.ends = (flags & flag_ends) != 0;
    segment.open = (flags & flag_open) != 0;
    segment.first.position.at = reader.varint();
    segment.first.time = reader.zigzag();
    segment.last.position.at = reader.varint();
    segment.last.time = reader.zigzag();
    segment.written = reader.zigzag();
    segment.records = reader.varint();
    segment.bytes = reader.varint();
    segment.previous = reader.array<32>();
    segment.section_hash = reader.array<32>();
    segment.section_bytes = reader.u32();
    segment.host = reader.u64();
    segment.token = reader.array<16>();
    if ((flags & flag_pauses) == 0) return;
    const std::size_t count = reader.count(2);
    for (std::size_t i = 0; i < count; ++i) {
        Pause& pause = segment.pauses.emplace_back();
        pause.from = reader.zigzag();
        pause.to = reader.zigzag();
    }
}

Bytes encode_segment(const Keyring& keys, Segment& segment, ByteView plain, Random& random) {
    Bytes section;
    if (!plain.empty()) {
        SectionBuilder builder(keys, PackKind::journal, random);
        for (ByteView rest = plain; !rest.empty();) {
            const ByteView piece = rest.first(std::min(rest.size(), piece_bytes));
            builder.add(data_id(keys.domain().chunk_id, piece), {}, piece);
            rest = rest.subspan(piece.size());
        }
        std::vector<ChunkPlace> places;
        builder.finish(section, places);
    }
    segment.bytes = plain.size();
    segment.section_hash = crypto::sha256(section);
    segment.section_bytes = static_cast<std::uint32_t>(section.size());
    segment.author = keys.own_id();

    Bytes payload;
    ByteWriter writer(payload);
    writer.u8(version);
    writer.u64(segment.source_tag);
    writer.varint(segment.lane);
    encode_fields(writer, segment);
    Bytes names;
    ByteWriter sealed(names);
    for (const std::string& text :
         {segment.source, segment.first.position.line, segment.last.position.line, segment.why})
        sealed.string(text);
    write_parts(writer, keys, key_purpose, names, {}, random);
    const Bytes head = sign(SignedKind::segment, keys.repository(), keys.secrets().signer, payload);
    HF_ASSERT(head.size() <= segment_head_max);
    segment.hash = crypto::sha256(head);
    segment.head_bytes = static_cast<std::uint32_t>(head.size());

    Bytes out;
    ByteWriter object(out);
    object.u32(segment.head_bytes);
    object.raw(head);
    object.raw(section);
    return out;
}

std::uint32_t head_bytes_of(ByteView begin, std::string_view what) {
    ByteReader reader(begin, what);
    const std::uint32_t bytes = reader.u32();
    if (bytes > segment_head_max) reader.fail("the length of its head makes no sense");
    return bytes;
}

namespace {

// What stands in the clear; `reader` is then at the names.
Segment decode_clear(const Keyring& keys, ByteView head, std::string_view what, ByteReader& reader) {
    const SignedView view = parse_signed(head, SignedKind::segment, what);
    keys.verify(view, what);
    reader = ByteReader(view.payload, what);
    if (reader.u8() != version) reader.fail("it is of a version that this one does not know");
    Segment segment;
    segment.author = view.author;
    segment.hash = crypto::sha256(head);
    segment.head_bytes = static_cast<std::uint32_t>(head.size());
    segment.source_tag = reader.u64();
    segment.lane = static_cast<std::uint32_t>(reader.varint());
    decode_fields(reader, segment);
    return segment;
}

}  // namespace

void verify_segments(const Keyring& keys, ByteView object, bool is_pack, std::string_view what) {
    ByteReader reader(object, what);
    if (is_pack) {
        const std::uint32_t table = reader.u32();
        keys.verify(parse_signed(reader.raw(table), SignedKind::segment_pack, what), what);
    }
    do {
        const ByteView head = reader.raw(head_bytes_of(object.subspan(reader.position()), what) + 4).subspan(4);
        ByteReader names(head, what);
        const Segment segment = decode_clear(keys, head, what, names);
        if (crypto::sha256(reader.raw(segment.section_bytes)) != segment.section_hash)
            throw Error{Code::corrupt, "{} is not what its writer signed", what};
    } while (is_pack && !reader.done());
    reader.expect_done();
}

Segment decode_head(const Keyring& keys, ByteView head, std::string_view what) {
    ByteReader reader(head, what);
    Segment segment = decode_clear(keys, head, what, reader);
    const OpenedParts parts = read_parts(reader, keys, key_purpose, what);
    reader.expect_done();
    if (!parts.reachable)
        throw Error{Code::denied, "this key may not read the head of {}", what}.hint(
            "It was written with another writer's key.");
    ByteReader names(*parts.reachable, what);
    segment.source = names.string();
    segment.first.position.line = names.string();
    segment.last.position.line = names.string();
    segment.why = names.string();
    names.expect_done();
    return segment;
}

void open_section(const Keyring& keys, const Segment& segment, ByteView section,
                  const std::function<void(ByteView)>& each) {
    const std::string& what = segment.object;
    if (section.size() != segment.section_bytes || crypto::sha256(section) != segment.section_hash)
        throw Error{Code::corrupt, "{} is not what its writer signed", what};
    if (section.empty()) return;
    std::optional<SectionOpener> opener;
    std::uint64_t bytes = 0;
    Bytes plain;
    scan_pack(section, what, [&](const SectionPlace& place, const ChunkRecord& record, std::uint32_t offset) {
        if (!opener) opener.emplace(keys, place.header, what);
        const ByteView sealed =
            section.subspan(offset + ChunkRecord::bytes + record.sealed_reachable, record.sealed_content);
        opener->open(record, Part::content, sealed, plain, what);
        if (!is_data(keys, record.id, plain)) throw Error{Code::corrupt, "{} holds bytes of another id", what};
        bytes += plain.size();
        each(plain);
    });
    if (bytes != segment.bytes) throw Error{Code::corrupt, "{} holds {} bytes, not {}", what, bytes, segment.bytes};
}

}  // namespace holdfast::repo
