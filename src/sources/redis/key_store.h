// sources/redis/key_store.h: the keys of one RDB on their way into items: divided into buckets by a hash of their names,
// so that the order of a server's tables does not matter.
//
// Shape    read_rdb(input, store); then load(database, bucket) as often as wanted
// Errors   of the spool; corrupt
// Threads  filled by one; load() and read_value() from any afterwards
// Limits   keys lie in a sealed spool; about pending_bytes in memory, and one bucket for each load()
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

    struct Key {
        KeyId id;
        ValueId value_id;
        RecordHead head;
        std::optional<std::uint64_t> large;  // its value's place in the spool, or:
        ByteView value;                      // of Loaded::bytes
        std::uint64_t record_bytes() const { return head.name.size() + head.value_bytes + 16; }
    };
    struct Loaded {
        Bytes bytes;
        std::vector<Key> keys;  // by id
    };
    std::vector<std::uint64_t> databases() const;
    unsigned bits(std::uint64_t database) const;
    std::uint64_t bucket_bytes(std::uint64_t database, std::size_t bucket) const;
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
    struct Bucket;
    struct Database;
    struct Hashing;
    Database& database(std::uint64_t number);
    void flush(Bucket& bucket);

    World& world_;
    const BucketBits bits_;
    const Bytes seed_;
    const std::optional<std::uint64_t> only_;
    bool passes_over_ = false;
    Spool spool_;
    std::map<std::uint64_t, std::unique_ptr<Database>> databases_;
    std::unique_ptr<Hashing> hashing_;
    std::size_t pending_each_;
    std::size_t buckets_ = 0;
    Bytes small_;
    std::optional<std::uint64_t> large_;
    std::uint64_t large_bytes_ = 0;
    Bytes server_;
    RdbCounts counts_;
    std::uint64_t keys_ = 0;
};

}  // namespace holdfast::redis
