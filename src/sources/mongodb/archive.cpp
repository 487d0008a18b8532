#include "sources/mongodb/archive.h"

#include <array>

#include "base/error.h"
#include "base/text.h"

namespace holdfast::mongodb {

namespace {

constexpr std::uint32_t magic = 0x8199e26d;
constexpr std::uint32_t end = 0xffffffff;
constexpr std::size_t mark_bytes = 4;

const std::array<std::uint64_t, 256>& crc_table() {
    static const std::array<std::uint64_t, 256> table = [] {
        constexpr std::uint64_t ecma = 0xC96C5795D7870F42;
        std::array<std::uint64_t, 256> out{};
        for (std::uint64_t i = 0; i < out.size(); ++i) {
            std::uint64_t value = i;
            for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? (value >> 1) ^ ecma : value >> 1;
            out[i] = value;
        }
        return out;
    }();
    return table;
}

std::uint32_t mark_at(ByteView bytes) {
    std::uint32_t out = 0;
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
}

}  // namespace

void Crc64::add(ByteView bytes) {
    const auto& table = crc_table();
    for (const std::uint8_t byte : bytes) state_ = table[(state_ ^ byte) & 0xff] ^ (state_ >> 8);
}

std::string dump_metadata(const Collection& collection) {
    std::vector<Bytes> indexes;
    if (!collection.id_index.empty()) indexes.push_back(collection.id_index);
    indexes.insert(indexes.end(), collection.indexes.begin(), collection.indexes.end());
    Builder out;
    out.array("indexes", indexes);
    if (!collection.uuid.empty()) out.text("uuid", to_hex(collection.uuid));
    out.text("collectionName", collection.name.collection).text("type", collection.type);
    out.document("options", collection.options);
    return to_json(out.done());
}

Collection collection_of_dump(const Namespace& name, std::string_view metadata) {
    Collection out;
    out.name = name;
    out.type = "collection";
    out.options = to_bytes(empty_document());
    if (metadata.empty()) return out;
    Bytes parsed;
    try {
        parsed = from_json(metadata);
    } catch (const Error& error) {
        throw Error{Code::corrupt, "the metadata of {} is no JSON: {}", name.text(), error.message()};
    }
    if (const std::string type = text_of(parsed, "type"); !type.empty()) out.type = type;
    Builder options;
    for (const Element& each : Elements(document_of(parsed, "options")))
        if (each.name != "uuid") options.add(each);
    out.options = options.done();
    if (find(out.options, "viewOn")) out.type = "view";
    for (const Element& index : Elements(document_of(parsed, "indexes"))) {
        if (!index.is_document()) continue;
        Builder kept;
        for (const Element& each : Elements(index.value))
            if (each.name != "ns") kept.add(each);
        if (text_of(index.value, "name") == "_id_")
            out.id_index = kept.done();
        else
            out.indexes.push_back(kept.done());
    }
    if (const auto uuid = from_hex(text_of(parsed, "uuid"))) out.uuid = *uuid;
    return out;
}

void ArchiveWriter::end_mark() {
    Bytes out;
    ByteWriter(out).u32(end);
    write_(out);
}

void ArchiveWriter::begin(const std::string& server_version, const std::vector<Collection>& collections,
                          bool has_oplog) {
    Bytes out;
    ByteWriter(out).u32(magic);
    append(out, Builder()
                    .i32("concurrent_collections", 1)
                    .text("version", "0.1")
                    .text("server_version", server_version)
                    .text("tool_version", "holdfast")
                    .done());
    for (const Collection& each : collections)
        append(out, Builder()
                        .text("db", each.name.database)
                        .text("collection", each.name.collection)
                        .text("metadata", dump_metadata(each))
                        .i32("size", 0)
                        .text("type", each.type)
                        .done());
    if (has_oplog)
        append(out, Builder()
                        .text("db", "")
                        .text("collection", "oplog")
                        .text("metadata", "")
                        .i32("size", 0)
                        .text("type", "")
                        .done());
    write_(out);
    end_mark();
}

void ArchiveWriter::begin_collection(const Namespace& name) {
    name_ = name;
    sum_ = Crc64();
    write_(Builder()
               .text("db", name.database)
               .text("collection", name.collection)
               .boolean("EOF", false)
               .i64("CRC", 0)
               .done());
}

void ArchiveWriter::documents(ByteView bytes) {
    sum_.add(bytes);
    write_(bytes);
}

void ArchiveWriter::end_collection() {
    end_mark();
    write_(Builder()
               .text("db", name_.database)
               .text("collection", name_.collection)
               .boolean("EOF", true)
               .i64("CRC", static_cast<std::int64_t>(sum_.value()))
               .done());
    end_mark();
}

void ArchiveReader::feed(ByteView bytes) {
    append(rest_, bytes);
    std::size_t at = 0;
    while (const std::size_t used = take(ByteView(rest_).subspan(at))) at += used;
    rest_ = to_bytes(ByteView(rest_).subspan(at));
}

std::size_t ArchiveReader::take(ByteView bytes) {
    if (bytes.size() < mark_bytes) return 0;
    const std::uint32_t mark = mark_at(bytes);
    if (state_ == State::magic) {
        if (mark != magic) throw Error{Code::corrupt, "this is no archive of mongodump"};
        state_ = State::header;
        return mark_bytes;
    }
    if (mark == end) {
        if (state_ == State::header) throw Error{Code::corrupt, "the archive has no header"};
        state_ = State::block;
        return mark_bytes;
    }
    const auto size = document_bytes(bytes);
    if (!size || bytes.size() < *size) return 0;
    take_document(bytes.first(*size));
    return *size;
}

void ArchiveReader::take_document(ByteView document) {
    switch (state_) {
        case State::magic:
        case State::header:
            state_ = State::collections;
            return;
        case State::collections: {
            const Namespace name{text_of(document, "db"), text_of(document, "collection")};
            if (name.database.empty()) return;  // the oplog
            Collection collection = collection_of_dump(name, text_of(document, "metadata"));
            if (const std::string type = text_of(document, "type"); !type.empty()) collection.type = type;
            if (!collection.is_view()) expected_.insert({name.database, collection.stored_name()});
            sink_.collection(collection);
            return;
        }
        case State::block:
            return begin_block(document);
        case State::documents:
            if (is_last_block_) throw Error{Code::corrupt, "the archive goes on behind the end of {}", open_.text()};
            sums_[open_].add(document);
            sink_.document(open_, document);
            return;
    }
}

void ArchiveReader::begin_block(ByteView header) {
    open_ = {text_of(header, "db"), text_of(header, "collection")};
    const auto is_end = find(header, "EOF");
    is_last_block_ = is_end && is_end->is_true();
    state_ = State::documents;
    if (!is_last_block_) {
        sums_[open_];
        return;
    }
    const auto expected = static_cast<std::uint64_t>(number_of(header, "CRC"));
    if (sums_[open_].value() != expected) throw Error{Code::corrupt, "{} does not have its checksum", open_.text()};
    sums_.erase(open_);
    expected_.erase(open_);
    sink_.end(open_);
}

void ArchiveReader::finish() const {
    if (!rest_.empty() || state_ != State::block || !sums_.empty() || !expected_.empty())
        throw Error{Code::corrupt, "the archive ends before its end"}.hint(
            "It was not written to its end; use another.");
}

}  // namespace holdfast::mongodb
