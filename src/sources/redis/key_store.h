// sources/redis/key_store.h: the keys of one RDB on their way into items: divided into buckets by a hash of their names,
// so that the order of a server's tables does not matter.
//
// Shape    read_rdb(input, store), flush(); then rows() and load() of a bucket of keys() as often as wanted; or take()
//          what has come, while more comes
// Errors   of the spool; corrupt
// Threads  filled by one; rows(), load() and read_value() of what no longer grows from any
// Limits   keys lie in a sealed spool; until flush() about slots_bytes in memory, then one bucket for each load()
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/crypto.h"
#include "sources/redis/counts.h"
#include "sources/redis/record.h"
#include "sources/redis/spool.h"

namespace holdfast::redis {

struct DigestTag;
using ValueId = Id<DigestTag, 8>;  // of a value with its expiry, under a key of the capture's own

// How many buckets a database has: 2^bits.
constexpr unsigned bucket_bits_max = 14;
unsigned bucket_bits_for(std::uint64_t bytes);

// Keys in buckets.
class KeySpool {
public:
    explicit KeySpool(World& world);
    ~KeySpool();

    // Of a key, without what it holds.
    struct Row {
        KeyId id;
        ValueId value_id;
        std::uint32_t head_bytes = 0;
        bool is_large = false;  // its value lies elsewhere in the spool
        std::uint64_t value_bytes = 0;
        std::uint64_t at = 0;  // in Loaded::bytes
        std::uint64_t record_bytes() const { return head_bytes + value_bytes; }
    };
    struct Loaded {
        std::vector<Row> rows;  // by id
        Bytes bytes;

        // A record as an item has it; without the value of a large one, which lies at value_place().
        ByteView record(const Row& row) const;
        std::uint64_t value_place(const Row& row) const;
    };
    std::vector<std::uint64_t> databases() const;
    unsigned bits(std::uint64_t database) const;
    std::vector<Row> rows(std::uint64_t database, std::size_t bucket) const;  // by id
    std::unique_ptr<Loaded> load(std::uint64_t database, std::size_t bucket) const;
    void read_value(std::uint64_t place, MutableByteView into) const { spool_.read(place, into); }
    void clear(World& world);  // its room is kept

private:
    friend class KeyStore;
    struct Run;
    struct Bucket;
    struct Database;
    void write(Run& run, ByteView bytes);
    Bytes read(const Run& run) const;
    std::vector<Row> rows_in_order(const Bucket& bucket) const;

    Spool spool_;
    std::map<std::uint64_t, std::unique_ptr<Database>> databases_;
};

class KeyStore final : public RdbSink {
public:
    using BucketBits = std::function<unsigned(std::uint64_t database)>;
    // `only`: keys of other databases are passed over.
    KeyStore(World& world, BucketBits bits, ByteView seed, std::optional<std::uint64_t> only = {});
    ~KeyStore() override;

    void flush();  // after the last key
    const KeySpool& keys() const { return *keys_; }
    // What has come, flushed; what comes goes into `next`, which is empty.
    std::unique_ptr<KeySpool> take(std::unique_ptr<KeySpool> next);
    std::uint64_t bytes() const { return bytes_; }  // of records that came since
    Facts facts() const { return counts_.facts(); }
    const Bytes& server() const { return server_; }  // records of what belongs to no database
    const RdbCounts& counts() const { return counts_; }

    void version(int number) override;
    void aux(const std::string& name, const std::string& value) override { counts_.aux(name, value); }
    void function(ByteView raw) override;
    void module_aux(ByteView raw) override;
    void begin_key(const RdbKey& key) override;
    void value(ByteView raw) override;
    void end_key(const RdbKey& key, const Value& value) override;

private:
    struct Hashing;
    KeySpool::Database& database(std::uint64_t number);
    void begin_filling(KeySpool::Database& database);
    void put(KeySpool::Run& run, std::size_t slot, std::size_t slot_bytes, ByteView bytes);
    ValueId value_id();

    World& world_;
    const BucketBits bits_;
    const Bytes seed_;
    const std::optional<std::uint64_t> only_;
    bool passes_over_ = false;
    std::unique_ptr<KeySpool> keys_;
    // For each bucket of the database that is being filled, what waits to be written: of its rows, then of its records.
    KeySpool::Database* filling_ = nullptr;
    std::uint64_t filling_number_ = 0;
    Bytes slots_;
    std::size_t row_slot_ = 0;
    std::size_t record_slot_ = 0;
    crypto::Fingerprint fingerprint_;
    std::unique_ptr<Hashing> hashing_;  // of a large value
    Bytes head_;
    Bytes row_;
    Bytes small_;  // what is hashed with a value, then the value
    std::optional<std::uint64_t> large_;
    std::uint64_t large_bytes_ = 0;
    Bytes server_;
    RdbCounts counts_;
    std::uint64_t count_ = 0;
    std::uint64_t bytes_ = 0;
};

}  // namespace holdfast::redis
