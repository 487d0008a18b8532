#include "sources/postgres/toc.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "sources/postgres/row_checksum.h"

namespace holdfast::postgres {

namespace {

struct NeedsMore {};

class Reader {
public:
    explicit Reader(ByteView bytes) : bytes_(bytes) {}
    std::uint8_t byte() {
        if (at_ >= bytes_.size()) throw NeedsMore{};
        return bytes_[at_++];
    }
    int number() {
        const bool negative = byte() != 0;
        std::int64_t value = 0;
        for (int i = 0; i < int_bytes; ++i) value |= static_cast<std::int64_t>(byte()) << (8 * i);
        if (value > INT32_MAX) fail();
        return static_cast<int>(negative ? -value : value);
    }
    std::optional<std::string> text() {
        const int length = number();
        if (length < 0) return std::nullopt;
        if (static_cast<std::size_t>(length) > bytes_.size() - at_) throw NeedsMore{};
        const std::string out(as_text(bytes_.subspan(at_, static_cast<std::size_t>(length))));
        at_ += static_cast<std::size_t>(length);
        return out;
    }
    std::string text_or_empty() { return text().value_or(""); }
    void skip(int count) {
        for (int i = 0; i < count; ++i) byte();
    }
    [[noreturn]] static void fail() {
        throw Error{Code::corrupt, "this is no archive of pg_dump in custom format, or of an unknown version"};
    }
    std::size_t position() const { return at_; }
    int int_bytes = 4;

private:
    ByteView bytes_;
    std::size_t at_ = 0;
};

TocEntry read_entry(Reader& reader, int minor, int offset_bytes) {
    TocEntry out;
    out.at = reader.position();
    out.id = reader.number();
    out.has_data = reader.number() != 0;
    out.table_oid = reader.text_or_empty();
    out.oid = reader.text_or_empty();
    out.tag = reader.text_or_empty();
    out.kind = reader.text_or_empty();
    const int section = reader.number();
    if (section < 1 || section > 4) Reader::fail();
    out.section = static_cast<TocEntry::Section>(section);
    out.definition_at = reader.position();
    out.definition = reader.text_or_empty();
    out.drop = reader.text_or_empty();
    out.copy = reader.text_or_empty();
    out.schema = reader.text_or_empty();
    out.tablespace = reader.text_or_empty();
    if (minor >= 14) out.access_method = reader.text_or_empty();
    if (minor >= 16) reader.number();  // kind of relation
    out.owner_at = reader.position();
    out.owner = reader.text_or_empty();
    reader.text();  // WITH OIDS, of old
    while (const auto id = reader.text()) {
        int number = 0;
        for (const char c : *id) {
            if (c < '0' || c > '9' || number > INT32_MAX / 10 - 1) Reader::fail();
            number = number * 10 + (c - '0');
        }
        out.needs.push_back(number);
    }
    reader.skip(1 + offset_bytes);
    return out;
}

Toc read_whole(Reader& reader) {
    for (const char c : std::string_view("PGDMP"))
        if (reader.byte() != static_cast<std::uint8_t>(c)) Reader::fail();
    Toc out;
    if (reader.byte() != 1) Reader::fail();
    out.minor = reader.byte();
    if (out.minor < 12 || out.minor > 16) Reader::fail();
    reader.byte();  // revision
    reader.int_bytes = reader.byte();
    if (reader.int_bytes != 4) Reader::fail();
    out.offset_bytes = reader.byte();
    if (out.offset_bytes > 8 || reader.byte() != 1) Reader::fail();
    if (out.minor >= 15)
        reader.byte();
    else
        reader.number();                          // compression
    for (int i = 0; i < 7; ++i) reader.number();  // when it was made
    out.database = reader.text_or_empty();
    out.server_version = reader.text_or_empty();
    reader.text();  // of pg_dump
    out.count_at = reader.position();
    const int count = reader.number();
    for (int i = 0; i < count; ++i) out.entries.push_back(read_entry(reader, out.minor, out.offset_bytes));
    out.end = reader.position();
    return out;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '"' || c == '.'; }

// A server that reads back `x IN ('a')` on a varchar writes it with other casts and parentheses each time it goes
// through a dump; what it means is the same.
std::string without_casts(std::string_view text) {
    constexpr std::array<std::string_view, 6> further{" varying",        " precision", " without time zone",
                                                      " with time zone", " varying[]", " precision[]"};
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == ':' && i + 1 < text.size() && text[i + 1] == ':') {
            i += 2;
            while (i < text.size() && is_word(text[i])) ++i;
            for (const std::string_view words : further)
                if (text.substr(i).starts_with(words)) {
                    i += words.size();
                    break;
                }
            while (i < text.size() && (text[i] == '[' || text[i] == ']')) ++i;
            --i;
        } else if (c != '(' && c != ')' && c != ' ' && c != '\n' && c != '\t') {
            out += c;
        }
    }
    return out;
}

void add(RowChecksum& sum, const std::vector<std::string_view>& parts) {
    Bytes line;
    ByteWriter writer(line);
    for (const std::string_view part : parts) writer.string(part);
    sum.add(line);
}

bool is_definition(const TocEntry& entry) {
    constexpr std::array<std::string_view, 7> left_out{"ENCODING",     "STDSTRINGS", "SEARCHPATH", "TABLE DATA",
                                                       "SEQUENCE SET", "BLOB",       "BLOBS"};
    return std::ranges::find(left_out, entry.kind) == left_out.end() && !entry.is_of_database() &&
           entry.kind != "BLOB METADATA" && !entry.tag.starts_with("LARGE OBJECT");
}

}  // namespace

const TocEntry* Toc::find(std::string_view kind) const {
    const auto at = std::ranges::find(entries, kind, &TocEntry::kind);
    return at == entries.end() ? nullptr : &*at;
}

int Toc::reader_major() const { return minor >= 16 ? 17 : minor == 15 ? 16 : minor == 14 ? 12 : 0; }

std::optional<Toc> read_toc(ByteView begin) {
    Reader reader(begin);
    try {
        return read_whole(reader);
    } catch (const NeedsMore&) {
        return std::nullopt;
    }
}

TocHashes hashes_of(const Toc& toc) {
    RowChecksum schema, privileges;
    for (const TocEntry& entry : toc.entries) {
        if (!is_definition(entry)) continue;
        if (entry.kind == "ACL" || entry.kind == "DEFAULT ACL") {
            for (const std::string& statement : split(entry.definition, '\n'))
                if (!statement.empty()) add(privileges, {entry.kind, entry.schema, entry.tag, statement});
            continue;
        }
        // pg_dump says of the schema `public` only what differs from a new database's.
        const bool is_public = entry.schema.empty() && (entry.tag == "public" || entry.tag == "SCHEMA public");
        if (!is_public) add(schema, {entry.kind, entry.schema, entry.tag, without_casts(entry.definition)});
        if (!entry.owner.empty() && !is_public)
            add(privileges, {"OWNER", entry.kind, entry.schema, entry.tag, entry.owner});
    }
    return {schema.hex(), privileges.hex()};
}

void append_number(Bytes& to, int number) {
    const auto magnitude = static_cast<std::uint32_t>(number < 0 ? -number : number);
    to.push_back(static_cast<std::uint8_t>(number < 0 ? 1 : 0));
    for (int i = 0; i < 4; ++i) to.push_back(static_cast<std::uint8_t>(magnitude >> (8 * i)));
}

Bytes table_data_entry(const Toc& toc, int id, const TocEntry& table, const std::string& copy) {
    constexpr int position_not_set = 1;
    Bytes out;
    const auto text = [&](const std::string& value) {
        append_number(out, static_cast<int>(value.size()));
        append(out, as_bytes(value));
    };
    const auto nothing = [&] { append_number(out, -1); };
    append_number(out, id);
    append_number(out, 1);  // it has data
    text("0");
    text(table.oid);
    text(table.tag);
    text("TABLE DATA");
    append_number(out, static_cast<int>(TocEntry::Section::data));
    text("");
    text("");
    text(copy);
    text(table.schema);
    nothing();
    if (toc.minor >= 14) nothing();
    if (toc.minor >= 16) append_number(out, 0);
    text(table.owner);
    text("false");
    text(fmt::format("{}", table.id));
    nothing();
    out.push_back(position_not_set);
    out.insert(out.end(), static_cast<std::size_t>(toc.offset_bytes), 0);
    return out;
}

Bytes data_block_begin(int id) {
    constexpr std::uint8_t data_block = 1;
    Bytes out{data_block};
    append_number(out, id);
    return out;
}

std::vector<SequenceState> sequences_of(const Toc& toc) {
    std::vector<SequenceState> out;
    for (const TocEntry& entry : toc.entries) {
        if (entry.kind != "SEQUENCE SET") continue;
        // SELECT pg_catalog.setval('public.orders_id_seq', 120000, true);
        const std::string& text = entry.definition;
        const std::size_t end = text.rfind(')');
        const std::size_t second = text.rfind(", ", end);
        const std::size_t first = second == std::string::npos ? second : text.rfind(", ", second - 1);
        if (end == std::string::npos || first == std::string::npos) continue;
        out.push_back({entry.schema, entry.tag, text.substr(first + 2, second - first - 2),
                       text.substr(second + 2, end - second - 2)});
    }
    return out;
}

}  // namespace holdfast::postgres
