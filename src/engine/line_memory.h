// engine/line_memory.h: where this machine put each line of what it captured last, so that a line that is there again,
// among others that changed, is not stored again.
//
// Shape    a file for each item, below the client's folder: for each line, in order, a keyed tag, its length, and its
//          place in a chunk. KnownLines::find() while an item is read, LineRecord for the next time
// Errors   none that matter: what cannot be read or written is as if it were not there, and is stored again
// Threads  LineMemory from any; a KnownLines and a LineRecord from one
// Limits   about 14 bytes a line on disk; in memory two blocks of lines, 36 bytes a chunk and 16 bytes for each 512 lines
// I1  a place is given only for a line with the same 96 bits of tag and the same length, in a chunk that is there
// I2  it holds neither lines nor the key of their tags
// Source   doc/format/lines.md; doc/adr/0012
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/secret.h"
#include "repo/keys.h"

namespace holdfast::engine {

struct LineTag {
    std::uint64_t high = 0;
    std::uint32_t low = 0;
    std::uint64_t draw = 0;  // decides whether a chunk ends behind this line; not remembered
    bool operator==(const LineTag& other) const { return high == other.high && low == other.low; }
};
LineTag line_tag(const Secret& key, ByteView line);

struct LineChunk {
    repo::ChunkId id;
    std::uint32_t bytes = 0;  // plain
};
struct LinePlace {
    const LineChunk* chunk = nullptr;  // as long as its KnownLines
    std::uint32_t offset = 0;
};

class KnownLines {
public:
    using Knows = std::function<bool(const repo::ChunkId&)>;
    // Nothing when there are none, or what there is makes no sense.
    static std::unique_ptr<KnownLines> open(const std::string& path, Knows knows);

    // Lines are looked for near the one found last, and some of them everywhere.
    std::optional<LinePlace> find(const LineTag& tag, std::size_t length);

private:
    struct Chunk {
        LineChunk chunk;
        bool is_worn = false;  // less than half of it is still in use
        bool was_looked_for = false;
        bool is_there = false;
    };
    struct Block {
        std::uint64_t offset = 0;
        std::uint32_t bytes = 0;
        bool is_scattered = false;  // its lines lie in so many places that they are stored together anew
    };
    struct Anchor {
        std::uint64_t tag = 0;
        std::uint32_t block = 0;
        std::uint32_t line = 0;
    };
    struct Line {
        LineTag tag;
        std::uint32_t chunk = 0;
        std::uint32_t offset = 0;
        std::uint32_t length = 0;
    };
    struct Cursor {
        std::vector<Line> lines;
        std::size_t next = 0;
        std::size_t block_after = 0;
    };
    KnownLines(Fd file, Knows knows) : file_(std::move(file)), knows_(std::move(knows)) {}
    void read_index();
    void append_block(std::size_t number, std::vector<Line>& to);
    std::optional<LinePlace> find_near(Cursor& cursor, const LineTag& tag, std::size_t length);
    bool jump(Cursor& cursor, const LineTag& tag);
    std::optional<LinePlace> place_of(const Line& line);

    Fd file_;
    const Knows knows_;
    std::vector<Chunk> chunks_;
    std::vector<Block> blocks_;
    std::vector<Anchor> anchors_;  // by tag
    Cursor cursor_, other_;
    bool is_damaged_ = false;
};

// What the next capture will know of an item.
class LineRecord {
public:
    LineRecord(const std::string& path, std::uint64_t expected_bytes);
    ~LineRecord();  // without finish() it is gone
    LineRecord(const LineRecord&) = delete;
    LineRecord& operator=(const LineRecord&) = delete;

    // In the order of the item; a chunk by its number in what finish() gets.
    void add(const LineTag& tag, std::size_t length, std::uint32_t chunk, std::uint32_t offset);
    bool finish(const std::vector<LineChunk>& chunks);  // false: nothing will be known

private:
    struct Run {  // lines that follow each other in one chunk
        std::uint32_t chunk = 0;
        std::uint32_t offset = 0;
        std::uint32_t end = 0;
        std::uint32_t lines = 0;
        Bytes encoded;
    };
    void end_run();
    void end_block();
    void write(ByteView bytes);

    const std::string path_;
    const std::size_t runs_max_;
    Fd file_;
    bool is_finished_ = false;
    std::uint64_t written_ = 0;
    Bytes body_;  // of the block
    std::uint64_t bytes_ = 0;
    std::uint32_t lines_ = 0;
    std::size_t runs_ = 0;
    Bytes anchors_of_block_;
    Run run_;
    Bytes blocks_;
    Bytes anchors_;
    std::uint32_t block_count_ = 0;
    std::vector<std::uint64_t> live_;  // bytes of each chunk that are in use
};

// All items of one source in one repository.
class LineMemory {
public:
    // `client_folder`: empty: nothing is remembered.
    LineMemory(const std::string& client_folder, const repo::Keyring& keys, const std::string& source,
               const std::string& host);
    ~LineMemory();  // without commit() all stays as it was

    const Secret& key() const { return key_; }
    void know_nothing() { knows_nothing_ = true; }  // everything is stored anew, unless the repository has it
    std::unique_ptr<KnownLines> known(const std::string& item, KnownLines::Knows knows) const;
    // Null: there is no place for it.
    std::unique_ptr<LineRecord> record(const std::string& item, std::uint64_t expected_bytes);
    // A record that finished well becomes what is known of the item.
    void keep(const std::string& item);
    // The snapshot exists. What is not of it is forgotten.
    void commit();

private:
    std::string path_of(const std::string& item) const;
    std::string new_path_of(const std::string& item) const;

    Secret key_;
    std::string folder_;
    bool knows_nothing_ = false;
    std::mutex mutex_;
    std::set<std::string> kept_;  // guarded by mutex_: paths
    bool is_committed_ = false;
};

}  // namespace holdfast::engine
