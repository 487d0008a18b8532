// sources/redis/key_store.h: the keys of one RDB on their way into items: divided into buckets by a hash of their names,
// so that the order of a server's tables does not matter.
//
// Shape    read_rdb(input, store), flush(); then rows() and load() of a bucket as often as wanted
// Errors   of the spool; corrupt
// Threads  filled by one; rows(), load() and read_value() from any afterwards
// Limits   keys lie in a sealed spool; until flush() about slots_bytes in memory, then one bucket for each load()
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "sources/redis/counts.h"
#include "sources/redis/record.h"
#include "sources/redis/spool.h"

namespace holdfast::redis {

struct DigestTag;
using ValueId = Id<DigestTag, 8>;  // of a value with its expiry, under a key of the capture's own

// How many buckets a database has: 2^bits.
constexpr unsigned bucket_bits_max = 14;
unsigned bucket_bits_for(std::uint64_t bytes);

class KeyStore final : public RdbSink {
public:
    using BucketBits = std::function<unsigned(std::uint64_t database)>;
    // `only`: keys of other databases are passed over.
    KeyStore(World& world, BucketBits bits, ByteView seed, std::optional<std::uint64_t> only = {});
    ~KeyStore() override;

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

    void flush();  // after the last key
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
    struct Run;
    struct Bucket;
    struct Database;
    struct Hashing;
    Database& database(std::uint64_t number);
    void begin_filling(Database& database);
    void put(Run& run, std::size_t slot, std::size_t slot_bytes, ByteView bytes);
    void write(Run& run, ByteView bytes);
    Bytes read(const Run& run) const;
    std::vector<Row> rows_in_order(const Bucket& bucket) const;
    ValueId value_id();

    World& world_;
    const BucketBits bits_;
    const Bytes seed_;
    const std::optional<std::uint64_t> only_;
    bool passes_over_ = false;
    Spool spool_;
    std::map<std::uint64_t, std::unique_ptr<Database>> databases_;
    // For each bucket of the database that is being filled, what waits to be written: of its rows, then of its records.
    Database* filling_ = nullptr;
    std::uint64_t filling_number_ = 0;
    Bytes slots_;
    std::size_t row_slot_ = 0;
    std::size_t record_slot_ = 0;
    std::unique_ptr<Hashing> hashing_;  // of a large value
    Bytes head_;
    Bytes row_;
    Bytes small_;  // what is hashed with a value, then the value
    std::optional<std::uint64_t> large_;
    std::uint64_t large_bytes_ = 0;
    Bytes server_;
    RdbCounts counts_;
    std::uint64_t keys_ = 0;
};

}  // namespace holdfast::redis
