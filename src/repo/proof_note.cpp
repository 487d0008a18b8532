#include "repo/proof_note.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace holdfast::repo {

namespace {

constexpr std::uint8_t proof_version = 2;  // 1 did not know how long the restore took
constexpr std::uint8_t run_version = 2;    // 1 knew restores only, and backups that failed
constexpr std::string_view proof_purpose = "holdfast proof note";
constexpr std::string_view run_purpose = "holdfast run note";

std::uint64_t milliseconds(double seconds) {
    return static_cast<std::uint64_t>(std::llround(std::max(0.0, seconds) * 1000));
}

double read_seconds(ByteReader& reader) { return static_cast<double>(reader.varint()) / 1000; }

ProofResult read_result(ByteReader& reader) {
    const std::uint8_t value = reader.u8();
    if (value < 1 || value > 3) reader.fail("it has a result that this version does not know");
    return static_cast<ProofResult>(value);
}

// Failures first, so that none is left out before something that passed.
void write_lines(ByteWriter& writer, std::vector<NoteLine> lines) {
    std::ranges::stable_sort(lines, {}, [](const NoteLine& line) { return line.result == ProofResult::pass; });
    const std::size_t count = std::min(lines.size(), note_lines_max);
    writer.varint(count);
    for (std::size_t i = 0; i < count; ++i) {
        writer.string(lines[i].name);
        writer.u8(static_cast<std::uint8_t>(lines[i].result));
        writer.string(lines[i].expected);
        writer.string(lines[i].found);
    }
}

std::vector<NoteLine> read_lines(ByteReader& reader) {
    std::vector<NoteLine> out(reader.count(4));
    for (NoteLine& line : out) {
        line.name = reader.string();
        line.result = read_result(reader);
        line.expected = reader.string();
        line.found = reader.string();
    }
    return out;
}

std::string finished(const Bytes& bytes) { return std::string(as_text(bytes)); }

Bytes seal_for_reader(const Keyring& keys, std::string_view purpose, ByteView plain, Random& random) {
    return crypto::seal_to(keys.config().reader, purpose, plain, random);
}

std::optional<Secret> open_as_reader(const Keyring& keys, std::string_view purpose, ByteView sealed) {
    if (!keys.secrets().reader) return std::nullopt;
    auto out = keys.secrets().reader->open(purpose, sealed);
    if (!out) throw Error{Code::corrupt, "the sealed part of a note does not authenticate"};
    return out;
}

}  // namespace

std::string encode(const ProofRecord& record, const Keyring& keys, Random& random) {
    Bytes sealed;
    ByteWriter inner(sealed);
    inner.string(record.basis);
    inner.string(record.coverage);
    inner.varint(record.isolation.size());
    for (const std::string& kind : record.isolation) inner.string(kind);
    write_lines(inner, record.lines);

    Bytes out;
    ByteWriter writer(out);
    writer.u8(proof_version);
    writer.u8(record.level);
    writer.u8(static_cast<std::uint8_t>(record.result));
    writer.varint(milliseconds(record.seconds));
    writer.varint(milliseconds(record.restore_seconds));
    writer.string(record.tool);
    writer.string(seal_for_reader(keys, proof_purpose, sealed, random));
    return finished(out);
}

ProofRecord decode_proof(std::string_view text, const Keyring& keys) {
    ByteReader reader(as_bytes(text), "a note of a proof");
    const std::uint8_t version = reader.u8();
    if (version < 1 || version > proof_version) reader.fail("it is of a version that this one does not know");
    ProofRecord out;
    out.level = reader.u8();
    if (out.level > 5) reader.fail("it has a level that does not exist");
    out.result = read_result(reader);
    out.seconds = read_seconds(reader);
    if (version > 1) out.restore_seconds = read_seconds(reader);
    out.tool = reader.string();
    const ByteView box = reader.string_view();
    reader.expect_done();
    const auto plain = open_as_reader(keys, proof_purpose, box);
    if (!plain) return out;
    decode_detail(plain->reveal(), out);
    return out;
}

void decode_detail(ByteView plain, ProofRecord& record) {
    ByteReader reader(plain, "a note of a proof");
    record.basis = reader.string();
    record.coverage = reader.string();
    const std::size_t kinds = reader.count(1);
    for (std::size_t i = 0; i < kinds; ++i) record.isolation.push_back(reader.string());
    record.lines = read_lines(reader);
    reader.expect_done();
}

std::string encode(const RunRecord& record, const Keyring& keys, Random& random) {
    Bytes sealed;
    ByteWriter inner(sealed);
    inner.string(record.host);
    inner.string(record.target);
    write_lines(inner, record.lines);
    inner.string(record.run);

    Bytes out;
    ByteWriter writer(out);
    writer.u8(run_version);
    writer.string(record.verb);
    writer.string(record.result);
    writer.varint(milliseconds(record.seconds));
    writer.varint(record.items);
    writer.varint(record.bytes);
    writer.string(record.tool);
    writer.string(seal_for_reader(keys, run_purpose, sealed, random));
    return finished(out);
}

RunRecord decode_run(std::string_view text, const Keyring& keys) {
    ByteReader reader(as_bytes(text), "a note of a run");
    const std::uint8_t version = reader.u8();
    if (version < 1 || version > run_version) reader.fail("it is of a version that this one does not know");
    RunRecord out;
    out.verb = reader.string();
    out.result = reader.string();
    out.seconds = read_seconds(reader);
    out.items = reader.varint();
    out.bytes = reader.varint();
    out.tool = reader.string();
    const ByteView box = reader.string_view();
    reader.expect_done();
    const auto plain = open_as_reader(keys, run_purpose, box);
    if (!plain) return out;
    decode_detail(plain->reveal(), out);
    return out;
}

void decode_detail(ByteView plain, RunRecord& record) {
    ByteReader reader(plain, "a note of a run");
    record.host = reader.string();
    record.target = reader.string();
    record.lines = read_lines(reader);
    if (!reader.done()) record.run = reader.string();  // version 1 ends before it
    reader.expect_done();
}

void add_proof(std::optional<Proof>& known, const Proof& later) {
    const bool says_less =
        known && later.result != ProofResult::fail &&
        (later.level < known->level || (known->result == ProofResult::pass && later.result == ProofResult::not_tested));
    if (!says_less) known = later;
}

}  // namespace holdfast::repo
