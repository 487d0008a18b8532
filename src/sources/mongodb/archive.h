// sources/mongodb/archive.h: mongodump's archive, written and read.
//
// Shape    magic, a header document, a document {db, collection, metadata, size, type} for each collection, an end mark; then
//          blocks, each a document {db, collection, EOF, CRC}, documents of that collection, an end mark. Blocks of several
//          collections may take turns; the last of each has EOF and the CRC-64 of all of its documents
// Errors   corrupt for what is no archive, is cut short, or does not have its CRC
// Threads  one owner
// Limits   one document in memory
// Source   mongo-tools, common/archive; doc/format/mongodb.md
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "sources/mongodb/catalog.h"

namespace holdfast::mongodb {

// Of Go's hash/crc64 with the ECMA table.
class Crc64 {
public:
    void add(ByteView bytes);
    std::uint64_t value() const { return ~state_; }

private:
    std::uint64_t state_ = ~std::uint64_t{0};
};

// {"indexes": […], "options": {…}, "uuid": "…", "collectionName": "…", "type": "…"}
std::string dump_metadata(const Collection& collection);
Collection collection_of_dump(const Namespace& name, std::string_view metadata);  // throws corrupt

class ArchiveWriter {
public:
    explicit ArchiveWriter(std::function<void(ByteView)> write) : write_(std::move(write)) {}
    void begin(const std::string& server_version, const std::vector<Collection>& collections, bool has_oplog);
    void begin_collection(const Namespace& name);
    void documents(ByteView bytes);
    void end_collection();

private:
    void end_mark();
    std::function<void(ByteView)> write_;
    Namespace name_;
    Crc64 sum_;
};

// Gets an archive in pieces of any size.
class ArchiveReader {
public:
    struct Sink {
        virtual ~Sink() = default;
        virtual void collection(const Collection& collection) = 0;  // all of them, before the first document
        virtual void document(const Namespace& name, ByteView document) = 0;
        virtual void end(const Namespace& name) = 0;
    };
    explicit ArchiveReader(Sink& sink) : sink_(sink) {}
    void feed(ByteView bytes);
    void finish() const;  // throws when it is not whole

private:
    enum class State : std::uint8_t { magic, header, collections, block, documents };
    std::size_t take(ByteView bytes);  // what was used of it; 0: more is needed
    void take_document(ByteView document);
    void begin_block(ByteView header);

    Sink& sink_;
    State state_ = State::magic;
    Bytes rest_;
    Namespace open_;
    bool is_last_block_ = false;
    std::map<Namespace, Crc64> sums_;  // of those that have begun
    std::set<Namespace> expected_;     // those that have not ended
};

}  // namespace holdfast::mongodb
