#include "repo/pack.h"

#include <algorithm>

#include "base/error.h"
#include "repo/names.h"

namespace holdfast::repo {

namespace {

constexpr std::string_view section_magic = "HFSC";
constexpr std::uint8_t suite_aes_gcm = 1;

std::array<std::uint8_t, 8> recipient_tag(const crypto::PublicKey& key) {
    const crypto::Digest digest = crypto::sha256(key);
    std::array<std::uint8_t, 8> tag;
    std::copy_n(digest.begin(), 8, tag.begin());
    return tag;
}

std::string_view key_purpose(Part part) {
    return part == Part::content ? "holdfast section key, content" : "holdfast section key, reachable";
}

// What the chunk key is derived from.
std::array<std::uint8_t, 38> chunk_info(const ChunkId& id, codec::Codec codec, std::uint32_t counter, Part part) {
    std::array<std::uint8_t, 38> out;
    std::copy(id.bytes.begin(), id.bytes.end(), out.begin());
    out[32] = static_cast<std::uint8_t>(codec);
    out[33] = static_cast<std::uint8_t>(part);
    for (std::size_t i = 0; i < 4; ++i) out[34 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
    return out;
}

// What a seal binds beside its key.
std::array<std::uint8_t, 70> chunk_context(const Config& config, const std::array<std::uint8_t, 16>& salt,
                                           const ChunkId& id, std::uint32_t counter, PackKind kind) {
    std::array<std::uint8_t, 70> out;
    auto at = std::copy(config.family.bytes.begin(), config.family.bytes.end(), out.begin());
    *at++ = suite_aes_gcm;
    *at++ = static_cast<std::uint8_t>(kind);
    at = std::copy(id.bytes.begin(), id.bytes.end(), at);
    at = std::copy(salt.begin(), salt.end(), at);
    for (std::size_t i = 0; i < 4; ++i) *at++ = static_cast<std::uint8_t>(counter >> (8 * i));
    HF_ASSERT(at == out.end());
    return out;
}

codec::Codec checked_codec(ByteReader& reader) {
    const std::uint8_t codec = reader.u8();
    if (codec > 1) reader.fail("a chunk is compressed in a way that this version does not know");
    return static_cast<codec::Codec>(codec);
}

}  // namespace

const std::string& prefix_of(PackKind kind) {
    switch (kind) {
        case PackKind::data:
            return names::data;
        case PackKind::meta:
            return names::meta;
        case PackKind::state:
            return names::state;
        case PackKind::journal:
            return names::journal;
    }
    return names::data;
}

std::string object_name(PackKind kind, const PackId& id) { return prefix_of(kind) + id.hex(); }

ChunkRecord parse_record(ByteView bytes, std::string_view what) {
    ByteReader reader(bytes, what);
    ChunkRecord record;
    record.id = ChunkId::from(reader.raw(ChunkId::size));
    record.codec_content = checked_codec(reader);
    record.codec_reachable = checked_codec(reader);
    record.counter = reader.u32();
    record.section_offset = reader.u32();
    record.sealed_reachable = reader.u32();
    record.sealed_content = reader.u32();
    constexpr std::uint32_t sealed_max = chunk_bytes_max + 1024;
    if (record.sealed_content < crypto::tag_bytes || record.sealed_content > sealed_max ||
        record.sealed_reachable > sealed_max ||
        (record.sealed_reachable != 0 && record.sealed_reachable < crypto::tag_bytes))
        reader.fail("a chunk's length makes no sense");
    return record;
}

SectionHeader parse_section(ByteView bytes, std::string_view what) {
    ByteReader reader(bytes, what);
    if (as_text(reader.raw(section_magic.size())) != section_magic)
        reader.fail("a section does not begin where it must");
    if (reader.u8() != suite_aes_gcm) reader.fail("a section is sealed in a way that this version does not know");
    SectionHeader header;
    const std::uint8_t kind = reader.u8();
    if (kind < 1 || kind > 4) reader.fail("a section is of a kind that this version does not know");
    header.kind = static_cast<PackKind>(kind);
    header.salt = reader.array<16>();
    header.chunks = reader.u32();
    header.bytes = reader.u32();
    const std::uint8_t count = reader.u8();
    for (std::uint8_t i = 0; i < count; ++i) {
        SealedKey key;
        key.part = static_cast<Part>(reader.u8());
        key.recipient = reader.array<8>();
        key.sealed = reader.raw(reader.u16());
        header.keys.push_back(key);
    }
    header.header_bytes = reader.position();
    if (header.bytes < header.header_bytes) reader.fail("a section's length makes no sense");
    return header;
}

void scan_pack(ByteView pack, std::string_view what,
               const std::function<void(const SectionPlace&, const ChunkRecord&, std::uint32_t offset)>& each) {
    std::size_t at = 0;
    while (at < pack.size() && pack[at] != 0) {
        SectionPlace section{static_cast<std::uint32_t>(at), parse_section(pack.subspan(at), what)};
        const std::size_t end = at + section.header.bytes;
        if (end > pack.size()) throw Error{Code::corrupt, "{} ends in the middle of a section", what};
        std::size_t chunk = at + section.header.header_bytes;
        for (std::uint32_t i = 0; i < section.header.chunks; ++i) {
            const ChunkRecord record = parse_record(pack.subspan(chunk, end - chunk), what);
            if (record.length() > end - chunk) throw Error{Code::corrupt, "{} ends in the middle of a chunk", what};
            if (record.section_offset != chunk - at) throw Error{Code::corrupt, "{} has a chunk that was moved", what};
            each(section, record, static_cast<std::uint32_t>(chunk));
            chunk += record.length();
        }
        if (chunk != end) throw Error{Code::corrupt, "{} has bytes between its chunks", what};
        at = end;
    }
    if (std::ranges::any_of(pack.subspan(at), [](std::uint8_t byte) { return byte != 0; }))
        throw Error{Code::corrupt, "{} has bytes after its last section", what};
}

struct SectionBuilder::Tools {
    explicit Tools(codec::Compression compression) : compressor(compression) {}
    std::optional<crypto::ChunkCipher> content;
    std::optional<crypto::ChunkCipher> reachable;
    codec::Compressor compressor;
    codec::Decompressor decompressor;
    Bytes packed, opened, unpacked;
};

std::size_t section_bytes_full(const Config& config, PackKind kind) {
    return kind == PackKind::data ? config.pack_bytes : std::min<std::size_t>(config.pack_bytes, 4 << 20);
}

SectionBuilder::SectionBuilder(const Keyring& keys, PackKind kind, Random& random, codec::Compression compression,
                               Bytes room)
    : keys_(keys),
      kind_(kind),
      bytes_(std::move(room)),
      salt_(random.array<16>()),
      tools_(std::make_unique<Tools>(compression)) {
    bytes_.clear();
    ByteWriter writer(bytes_);
    writer.raw(as_bytes(section_magic));
    writer.u8(suite_aes_gcm);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.raw(salt_);
    counts_at_ = bytes_.size();
    writer.u32(0);
    writer.u32(0);

    const Config& config = keys.config();
    // Untouched memory costs nothing; growing by doubling would hold two packs for a while.
    if (kind != PackKind::journal) bytes_.reserve(section_bytes_full(config, kind) + config.chunk_sizes.max);
    struct Recipient {
        Part part;
        crypto::PublicKey key;
    };
    std::vector<Recipient> recipients{{Part::content, config.reader}};
    if (kind == PackKind::meta) {
        recipients.push_back({Part::reachable, config.reader});
        recipients.push_back({Part::reachable, config.maintainer});
    }
    // A writer must read its own state back, though it reads nothing else.
    if (kind == PackKind::state) recipients.push_back({Part::content, keys.own().box});
    const Secret content_key(random.array<crypto::key_bytes>());
    const Secret reachable_key(random.array<crypto::key_bytes>());
    writer.u8(static_cast<std::uint8_t>(recipients.size()));
    for (const Recipient& recipient : recipients) {
        const Secret& key = recipient.part == Part::content ? content_key : reachable_key;
        const Bytes sealed = crypto::seal_to(recipient.key, key_purpose(recipient.part), key.reveal(), random);
        writer.u8(static_cast<std::uint8_t>(recipient.part));
        writer.raw(recipient_tag(recipient.key));
        writer.u16(static_cast<std::uint16_t>(sealed.size()));
        writer.raw(sealed);
    }
    HF_ASSERT(bytes_.size() <= section_header_max);
    tools_->content.emplace(content_key);
    if (kind == PackKind::meta) tools_->reachable.emplace(reachable_key);
}

SectionBuilder::~SectionBuilder() = default;

void SectionBuilder::seal_part(const ChunkId& id, Part part, std::uint32_t counter, ByteView plain,
                               codec::Codec& codec) {
    codec = tools_->compressor(plain, tools_->packed);
    const ByteView packed = codec == codec::Codec::stored ? plain : ByteView(tools_->packed);
    crypto::ChunkCipher& cipher = part == Part::content ? *tools_->content : *tools_->reachable;
    const auto info = chunk_info(id, codec, counter, part);
    const auto context = chunk_context(keys_.config(), salt_, id, counter, kind_);
    const std::size_t at = bytes_.size();
    cipher.seal(info, context, packed, bytes_);
    // Bad memory must show before the upload, not at a restore (I1).
    bool same = cipher.open(info, context, ByteView(bytes_).subspan(at), tools_->opened);
    if (same && codec != codec::Codec::stored) {
        (*tools_).decompressor(codec, tools_->opened, plain.size(), tools_->unpacked);
        same = equal(tools_->unpacked, plain);
    } else {
        same = same && equal(tools_->opened, plain);
    }
    if (!same)
        throw Error{Code::corrupt, "chunk {} does not open again after sealing", id.short_hex()}.hint(
            "Check this machine's memory; nothing of this pack was uploaded.");
}

ChunkPlace SectionBuilder::add(const ChunkId& id, ByteView reachable, ByteView content) {
    HF_ASSERT(content.size() <= chunk_bytes_max && reachable.size() <= chunk_bytes_max);
    HF_ASSERT(reachable.empty() || tools_->reachable);
    const std::size_t start = bytes_.size();
    const auto counter = static_cast<std::uint32_t>(places_.size());
    bytes_.resize(start + ChunkRecord::bytes);
    codec::Codec codec_content{}, codec_reachable{};
    if (!reachable.empty()) seal_part(id, Part::reachable, counter, reachable, codec_reachable);
    const std::size_t middle = bytes_.size();
    seal_part(id, Part::content, counter, content, codec_content);

    Bytes record;
    ByteWriter writer(record);
    writer.raw(id.view());
    writer.u8(static_cast<std::uint8_t>(codec_content));
    writer.u8(static_cast<std::uint8_t>(codec_reachable));
    writer.u32(counter);
    writer.u32(static_cast<std::uint32_t>(start));
    writer.u32(static_cast<std::uint32_t>(middle - start - ChunkRecord::bytes));
    writer.u32(static_cast<std::uint32_t>(bytes_.size() - middle));
    HF_ASSERT(record.size() == ChunkRecord::bytes);
    std::ranges::copy(record, bytes_.begin() + static_cast<std::ptrdiff_t>(start));
    places_.push_back({id, static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(bytes_.size() - start)});
    return places_.back();
}

void SectionBuilder::finish(Bytes& pack, std::vector<ChunkPlace>& places) {
    Bytes counts;
    ByteWriter writer(counts);
    writer.u32(static_cast<std::uint32_t>(places_.size()));
    writer.u32(static_cast<std::uint32_t>(bytes_.size()));
    std::ranges::copy(counts, bytes_.begin() + static_cast<std::ptrdiff_t>(counts_at_));
    const auto base = static_cast<std::uint32_t>(pack.size());
    for (const ChunkPlace& place : places_) places.push_back({place.id, place.offset + base, place.length});
    if (pack.empty())
        pack = std::move(bytes_);
    else
        append(pack, bytes_);
    bytes_.clear();
    places_.clear();
}

// The padding blurs the sum of the chunks' lengths.
PackId seal_pack(Bytes& pack) {
    const std::size_t step = pack.size() < 64 * 1024 ? 512 : 4096;
    pack.resize((pack.size() + step) / step * step, 0);
    return PackId{crypto::sha256(pack)};
}

struct SectionOpener::Tools {
    Tools(const Keyring& keys, const SectionHeader& header)
        : config(keys.config()),
          reads_content(keys.secrets().reader.has_value()),
          reads_reachable(reads_content || keys.secrets().maintainer.has_value()),
          kind(header.kind),
          salt(header.salt) {}
    const Config& config;
    bool reads_content, reads_reachable;
    PackKind kind;
    std::array<std::uint8_t, 16> salt;
    std::optional<crypto::ChunkCipher> content;
    std::optional<crypto::ChunkCipher> reachable;
};

namespace {

// Many sections are open at a time, few threads read: what a chunk needs on its way belongs to the thread.
struct Unpacking {
    codec::Decompressor decompressor;
    Bytes packed;
};

Unpacking& unpacking() {
    thread_local Unpacking mine;
    return mine;
}

}  // namespace

SectionOpener::SectionOpener(const Keyring& keys, const SectionHeader& header, std::string_view what)
    : tools_(std::make_unique<Tools>(keys, header)) {
    std::vector<const crypto::BoxKey*> ours{&keys.secrets().box};
    if (keys.secrets().reader) ours.push_back(&*keys.secrets().reader);
    if (keys.secrets().maintainer) ours.push_back(&*keys.secrets().maintainer);
    for (const SealedKey& sealed : header.keys) {
        auto& cipher = sealed.part == Part::content ? tools_->content : tools_->reachable;
        if (cipher) continue;
        for (const crypto::BoxKey* box : ours) {
            if (recipient_tag(box->public_key()) != sealed.recipient) continue;
            const auto key = box->open(key_purpose(sealed.part), sealed.sealed);
            if (!key) throw Error{Code::corrupt, "a section key of {} does not open", what};
            cipher.emplace(*key);
            break;
        }
    }
}

SectionOpener::~SectionOpener() = default;
SectionOpener::SectionOpener(SectionOpener&&) noexcept = default;

bool SectionOpener::opens(Part part) const {
    return (part == Part::content ? tools_->content : tools_->reachable).has_value();
}

void SectionOpener::open(const ChunkRecord& record, Part part, ByteView sealed, Bytes& plain, std::string_view what) {
    auto& cipher = part == Part::content ? tools_->content : tools_->reachable;
    // Every section is sealed to them: when one of them finds no key for it, the list of keys is damaged, or a lie.
    if (!cipher && (part == Part::content ? tools_->reads_content : tools_->reads_reachable))
        throw Error{Code::corrupt, "a section of {} has no key for its readers", what};
    if (!cipher)
        throw Error{Code::denied, "this key may not read that part of {}", what}.hint(
            "A writer and a maintainer read nothing back: use a reader's key or a full one.");
    const codec::Codec codec = part == Part::content ? record.codec_content : record.codec_reachable;
    const auto info = chunk_info(record.id, codec, record.counter, part);
    const auto context = chunk_context(tools_->config, tools_->salt, record.id, record.counter, tools_->kind);
    Bytes& opened = codec == codec::Codec::stored ? plain : unpacking().packed;
    if (!cipher->open(info, context, sealed, opened))
        throw Error{Code::corrupt, "chunk {} in {} does not authenticate", record.id.short_hex(), what}.hint(
            "Run `holdfast check --read-data` to see what is affected.");
    if (codec != codec::Codec::stored) unpacking().decompressor(codec, opened, chunk_bytes_max, plain);
}

}  // namespace holdfast::repo
