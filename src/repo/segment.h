// repo/segment.h: one piece of a source's journal: a signed head, and a section of sealed chunks.
//
// Shape    u32 length of the head, head, section; what the head says of the section (its SHA-256) makes one signature
//          stand for both, and a listing needs the heads only
// Errors   corrupt
// Source   doc/format/journal.md
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/position.h"
#include "repo/keys.h"
#include "repo/process_lock.h"

namespace holdfast::repo {

struct Segment {
    std::uint64_t source_tag = 0;
    std::uint32_t lane = 0;
    std::uint64_t number = 0;
    bool starts = false;  // what comes before does not lead here: a new base is needed
    bool ends = false;    // the last of its lane
    bool open = false;    // its bytes end within a record, which goes on in the next
    Moment first;         // where the one before left off
    Moment last;
    Nanoseconds written = 0;  // the author's clock
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;    // of plaintext
    crypto::Digest previous{};  // hash of the head before it, be it in an earlier lane
    crypto::Digest section_hash{};
    std::uint32_t section_bytes = 0;
    std::uint64_t host = 0;  // keyed tag
    LockToken token{};
    std::vector<Pause> pauses;
    std::string source;  // sealed, as `why` and the lines of the moments
    std::string why;     // it starts

    SignerId author;
    crypto::Digest hash{};  // SHA-256 of the signed head

    // Where it lies.
    std::string object;
    std::uint64_t offset = 0;
    std::uint32_t head_bytes = 0;
    std::uint64_t stored() const { return 4 + std::uint64_t{head_bytes} + section_bytes; }
};

std::uint64_t source_tag(const Keyring& keys, std::string_view source);

// Seals `plain` (may be empty) and fills in what follows from it: hash, section, lengths.
Bytes encode_segment(const Keyring& keys, Segment& segment, ByteView plain, Random& random);

constexpr std::size_t segment_head_max = 64 * 1024;
// The length that the first four bytes of a segment tell.
std::uint32_t head_bytes_of(ByteView begin, std::string_view what);
Segment decode_head(const Keyring& keys, ByteView head, std::string_view what);
// Every byte of the content, in order. `section`: as it came from the store.
void open_section(const Keyring& keys, const Segment& segment, ByteView section,
                  const std::function<void(ByteView)>& each);

// That an object of a journal, a segment or a pack of them, is what its writers signed. Needs no key that reads. corrupt
void verify_segments(const Keyring& keys, ByteView object, bool is_pack, std::string_view what);

// Fields of a segment without its place, as in heads and in the tables of packs.
void encode_fields(ByteWriter& writer, const Segment& segment);
void decode_fields(ByteReader& reader, Segment& segment);

}  // namespace holdfast::repo
