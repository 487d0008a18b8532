// sources/redis/key_capture.h: what every capture of keys has: items in order, facts, and what the machine remembers of them.
//
// Shape    who derives says which layers a bucket has
// Errors   of the spool; what is remembered never matters
// Threads  as Capture says
// Source   doc/format/redis.md
#pragma once

#include "sources/redis/capture.h"
#include "sources/redis/key_store.h"
#include "sources/redis/memory.h"

namespace holdfast::redis {

class KeyCapture : public Capture {
public:
    bool next(Batch& batch) override;
    std::optional<Finding> complete(const Batch&, Item&) override { return std::nullopt; }
    Opened open(const Batch& batch, const Batch::Entry& entry) override;
    CaptureSummary finish() override;

protected:
    // `before`: what the machine remembers, or nothing.
    KeyCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader> before);

    // Entries of a bucket's layers, the newest first, as their names are ordered; `handle` is the batch's. What is
    // returned is remembered.
    virtual Remembered add_bucket(Batch& batch, std::uint64_t database, std::size_t bucket) = 0;
    virtual std::unique_ptr<ItemData> open_layer(const Batch& batch, std::size_t entry) = 0;
    static Batch::Entry layer_entry(std::uint64_t database, std::size_t bucket, const Layer& layer);
    LayerId fresh_id() { return LayerId::from(world_.random.array<LayerId::size>()); }
    // All keys have come. By number of database, how many bits its buckets have.
    void end_reading(const BitsByDatabase& bits);

    static constexpr std::size_t buckets_each_batch = 64;
    World& world_;
    const RdbOrigin origin_;
    std::unique_ptr<MemoryReader> before_;
    KeyStore store_;

private:
    KeyCapture(World& world, RdbOrigin origin, std::unique_ptr<MemoryReader>&& before, const Bytes& seed);
    std::string stream_database() const;
    void refuse_old() const;
    unsigned choose_bits(std::uint64_t number) const;
    void add_top(Batch& batch) const;

    const Bytes seed_;
    BitsByDatabase bits_;
    BitsByDatabase::const_iterator database_;
    std::unique_ptr<MemoryWriter> after_;
    bool has_top_ = false;
    std::size_t bucket_ = 0;
};

std::string memory_path(const RdbOrigin& origin);

}  // namespace holdfast::redis
