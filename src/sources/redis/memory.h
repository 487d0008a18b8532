// sources/redis/memory.h: what this machine remembers of a source's last capture: its layers, and a hash of each key.
//
// Shape    a file below the state folder, read and written bucket by bucket, in their order
// Errors   none that matter: what cannot be read is as if it were not there (sources/redis/layers.h, I1)
// Threads  one
// Limits   33 bytes for each key on disk, one bucket in memory
// I1  it holds no name and no value: hashes of names, and hashes of values under a key that is in the same file
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/file_reader.h"
#include "base/world.h"
#include "sources/redis/layers.h"

namespace holdfast::redis {

// Databases in tree order: by the text of their numbers.
struct ByText {
    bool operator()(std::uint64_t a, std::uint64_t b) const { return std::to_string(a) < std::to_string(b); }
};
using BitsByDatabase = std::map<std::uint64_t, unsigned, ByText>;

// Of the key under which values are hashed.
constexpr std::size_t seed_bytes = crypto::key_bytes;

class MemoryReader {
public:
    // Nothing when there is none, or it is damaged.
    static std::unique_ptr<MemoryReader> open(const std::string& path);
    const Bytes& seed() const { return seed_; }
    std::optional<unsigned> bits(std::uint64_t database) const;
    // Buckets in the order in which they were written; what was not asked for is passed over.
    Remembered read(std::uint64_t database, std::size_t bucket);

private:
    explicit MemoryReader(Fd file) : file_(std::move(file)) {}
    void take(MutableByteView into);
    Remembered read_bucket();
    FileReader file_;
    Bytes seed_;
    BitsByDatabase bits_;
    BitsByDatabase::const_iterator database_;
    std::size_t bucket_ = 0;
};

class MemoryWriter {
public:
    MemoryWriter(std::string path, ByteView seed, const BitsByDatabase& bits);
    ~MemoryWriter();  // without commit() nothing changes
    MemoryWriter(const MemoryWriter&) = delete;
    MemoryWriter& operator=(const MemoryWriter&) = delete;
    void add(const Remembered& bucket);  // each, in order
    void commit();

private:
    void flush();
    std::string path_;
    std::string temporary_;
    Fd file_;
    Bytes out_;
    Hash128 hash_;
    bool is_done_ = false;
};

// Where it is kept; empty when this machine has no place for it.
std::string memory_path(const std::string& source, const std::string& place);

}  // namespace holdfast::redis
