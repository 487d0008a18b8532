// repo/pack.h: the bytes of a pack: sections of sealed chunks.
//
// Shape    section*, zeros to a round size. section = header (salt, section keys sealed to each recipient, counts),
//          chunk*. chunk = record (id, codecs, counter, sealed lengths), sealed bytes. A data or state chunk has one
//          sealed part; a node has two: R (for maintainers and readers), then P (for readers).
// Units    offsets and lengths in bytes from the start of the pack
// Errors   corrupt from every parser
// Threads  a builder belongs to one thread at a time; openers are thread-safe
// I1  a chunk opens again to the same bytes before its pack is uploaded
// I2  a chunk's seal binds family, suite, id, section salt and counter, never its place: sections move verbatim
// Source   doc/format/pack.md
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/world.h"
#include "codec/compress.h"
#include "repo/keys.h"

namespace holdfast::repo {

enum class PackKind : std::uint8_t { data = 1, meta = 2, state = 3, journal = 4 };
const std::string& prefix_of(PackKind kind);
std::string object_name(PackKind kind, const PackId& id);

enum class Part : std::uint8_t { content = 1, reachable = 2 };  // P (and data, state) · R

struct ChunkPlace {  // where in its pack
    ChunkId id;
    std::uint32_t offset = 0;  // of the chunk's record
    std::uint32_t length = 0;  // of record and sealed bytes
};

struct ChunkRecord {
    static constexpr std::size_t bytes = 32 + 1 + 1 + 4 + 4 + 4 + 4;
    static constexpr std::size_t section_offset_at = 32 + 1 + 1 + 4;
    ChunkId id;
    codec::Codec codec_content = codec::Codec::stored;
    codec::Codec codec_reachable = codec::Codec::stored;
    std::uint32_t counter = 0;
    std::uint32_t sealed_reachable = 0;  // bytes; 0 when there is no R part
    std::uint32_t sealed_content = 0;
    std::uint32_t section_offset = 0;  // from the start of the section to this record: leads back to its header
    std::size_t length() const { return bytes + sealed_reachable + sealed_content; }
};
ChunkRecord parse_record(ByteView bytes, std::string_view what);

struct SealedKey {
    Part part{};
    std::array<std::uint8_t, 8> recipient{};  // first bytes of SHA-256 of its public key
    ByteView sealed;
};

struct SectionHeader {
    static constexpr std::size_t counts_at = 4 + 1 + 1 + 16;  // number of chunks, then bytes
    PackKind kind{};
    std::array<std::uint8_t, 16> salt{};
    std::vector<SealedKey> keys;  // look into the bytes parsed
    std::uint32_t chunks = 0;
    std::uint32_t bytes = 0;  // of the whole section, header included
    std::size_t header_bytes = 0;
};
constexpr std::size_t section_header_max = 1024;
SectionHeader parse_section(ByteView bytes, std::string_view what);

// Calls `each` for every chunk of a whole pack, in order, and checks that nothing else is in it.
struct SectionPlace {
    std::uint32_t offset = 0;
    SectionHeader header;
};
void scan_pack(ByteView pack, std::string_view what,
               const std::function<void(const SectionPlace&, const ChunkRecord&, std::uint32_t offset)>& each);

// A section of so many bytes takes no more chunks.
std::size_t section_bytes_full(const Config& config, PackKind kind);

// A section being filled. One thread at a time.
class SectionBuilder {
public:
    // `room`: memory of a pack that is gone, to be used again.
    SectionBuilder(const Keyring& keys, PackKind kind, Random& random,
                   codec::Compression compression = codec::usual_compression, Bytes room = {});
    ~SectionBuilder();
    // Compresses, seals, opens again and compares. `reachable` empty: a chunk with one part.
    ChunkPlace add(const ChunkId& id, ByteView reachable, ByteView content);
    std::size_t bytes() const { return bytes_.size(); }
    std::size_t chunks() const { return places_.size(); }
    // Appends the finished section to a pack; its places, moved to where they now are, to `places`.
    void finish(Bytes& pack, std::vector<ChunkPlace>& places);

private:
    struct Tools;
    void seal_part(const ChunkId& id, Part part, std::uint32_t counter, ByteView plain, codec::Codec& codec);
    const Keyring& keys_;
    PackKind kind_;
    Bytes bytes_;
    std::vector<ChunkPlace> places_;
    std::array<std::uint8_t, 16> salt_{};
    std::unique_ptr<Tools> tools_;
    std::size_t counts_at_ = 0;
};
// Pads, and names the pack by its bytes.
PackId seal_pack(Bytes& pack);

// Opens chunks of one section. Not thread-safe: one a thread.
class SectionOpener {
public:
    // The key of `part` is opened with whichever recipient key the keyring holds; denied when it holds none.
    SectionOpener(const Keyring& keys, const SectionHeader& header, std::string_view what);
    ~SectionOpener();
    SectionOpener(SectionOpener&&) noexcept;
    // Opens and decompresses one part. corrupt when it does not authenticate.
    void open(const ChunkRecord& record, Part part, ByteView sealed, Bytes& plain, std::string_view what);
    bool opens(Part part) const;

private:
    struct Tools;
    std::unique_ptr<Tools> tools_;
};

constexpr std::size_t chunk_bytes_max = 16 * 1024 * 1024;  // of plaintext

}  // namespace holdfast::repo
