// sources/mongodb/memory.h: what this machine remembers of a collection's last capture: a hash of each document, in the
// order in which they came, and so where each lies in the collection's content.
//
// Shape    a file below the state folder, of blocks of rows; each block begins with the key of its first _id (id_order.h)
// Errors   none that matter: what cannot be read is as if it were not there, and costs space
// Threads  one owner
// Limits   20 bytes a document on disk, two blocks in memory
// I1  it holds no documents: hashes under a key that is in the same file, and one _id in block_rows
// I2  a row is believed only with its block's checksum
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/file_reader.h"
#include "base/world.h"
#include "crypto/crypto.h"
#include "source/source.h"

namespace holdfast::mongodb {

struct DocumentTag;
using DocumentHash = Id<DocumentTag, 16>;
struct VersionTag;
using ContentVersion = Id<VersionTag, 16>;  // of one capture of one collection
struct HashKeyTag;
using HashKey = Id<HashKeyTag, 32>;

// Who does not have the key finds no two documents with one hash.
class DocumentHasher {
public:
    explicit DocumentHasher(const HashKey& key) : fingerprint_(Secret(key.view())) {}
    DocumentHash operator()(ByteView document) { return {fingerprint_(document)}; }

private:
    crypto::Fingerprint fingerprint_;
};

class MemoryReader {
public:
    // Null when there is none, or its head is damaged.
    static std::unique_ptr<MemoryReader> open(const std::string& path);
    const ContentVersion& version() const { return version_; }
    const HashKey& hash_key() const { return hash_key_; }
    // Where this document lay, if it did; asked in the order of keys.
    std::optional<ByteRange> find(const std::string& order_key, const DocumentHash& hash);

private:
    struct Block {
        std::string first_key;
        std::unordered_map<DocumentHash, ByteRange, IdHash> rows;
    };
    explicit MemoryReader(Fd file) : file_(std::move(file)) {}
    std::optional<Block> read_block();

    FileReader file_;
    ContentVersion version_;
    HashKey hash_key_;
    Block block_;
    std::optional<Block> next_;
};

class MemoryWriter {
public:
    MemoryWriter(std::string path, const ContentVersion& version, const HashKey& hash_key);
    ~MemoryWriter();  // what was not kept is gone
    MemoryWriter(const MemoryWriter&) = delete;
    MemoryWriter& operator=(const MemoryWriter&) = delete;
    void add(const std::string& order_key, const DocumentHash& hash, std::uint32_t bytes);
    void end();   // no more rows come
    void keep();  // in place of what was remembered before

private:
    void end_block();
    void flush();

    const std::string path_, temporary_;
    const HashKey hash_key_;
    Fd file_;
    Bytes out_;
    Bytes rows_;
    std::string first_key_;
    std::uint32_t row_count_ = 0;
    std::uint64_t block_begin_ = 0, at_ = 0;
    bool has_ended_ = false, is_kept_ = false;
};

// Where the memory of a source's collections is kept; empty when this machine has no place for it.
std::string memory_folder(const std::string& source, const std::string& place);
std::string memory_path(const std::string& folder, const std::string& item);

}  // namespace holdfast::mongodb
