#include "sources/redis/key_store.h"

#include <sodium.h>

#include <algorithm>

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::uint64_t bucket_bytes_wanted = 1024 * 1024;
constexpr std::size_t pending_bytes = 12 * 1024 * 1024;
constexpr std::size_t record_guess = 512;
constexpr std::size_t small_max = 1024 * 1024;

}  // namespace

unsigned bucket_bits_for(std::uint64_t bytes) {
    unsigned bits = 0;
    while (bits < bucket_bits_max && bytes >> bits > bucket_bytes_wanted) ++bits;
    return bits;
}

struct KeyStore::Bucket {
    struct Extent {
        std::uint64_t offset;
        std::uint32_t bytes;
    };
    Bytes pending;
    std::vector<Extent> extents;
    std::uint64_t bytes = 0;
    std::uint64_t record_bytes = 0;
};

struct KeyStore::Database {
    unsigned bits = 0;
    std::vector<Bucket> buckets;
};

struct KeyStore::Hashing {
    crypto_generichash_state state;
};

KeyStore::KeyStore(World& world, BucketBits bits, ByteView seed, std::optional<std::uint64_t> only)
    : world_(world),
      bits_(std::move(bits)),
      seed_(to_bytes(seed)),
      only_(only),
      spool_(world),
      hashing_(std::make_unique<Hashing>()),
      pending_each_(pending_bytes) {}

KeyStore::~KeyStore() = default;

KeyStore::Database& KeyStore::database(std::uint64_t number) {
    std::unique_ptr<Database>& place = databases_[number];
    if (!place) {
        place = std::make_unique<Database>();
        place->bits = std::min(bits_(number), bucket_bits_max);
        place->buckets.resize(std::size_t{1} << place->bits);
        buckets_ += place->buckets.size();
        pending_each_ = std::clamp<std::size_t>(pending_bytes / buckets_, 2048, 256 * 1024);
    }
    return *place;
}

void KeyStore::version(int number) {
    append_version(server_, number);
    counts_.version(number);
}

void KeyStore::function(ByteView raw) {
    append_blob(server_, RecordKind::function, raw);
    counts_.function(raw);
}

void KeyStore::module_aux(ByteView raw) { append_blob(server_, RecordKind::module_aux, raw); }

void KeyStore::begin_key(const RdbKey& key) {
    passes_over_ = only_ && key.database != *only_;
    small_.clear();
    large_.reset();
    large_bytes_ = 0;
    crypto_generichash_init(&hashing_->state, seed_.data(), seed_.size(), crypto_generichash_BYTES_MIN);
    std::array<std::uint8_t, 9> head{key.type};
    for (std::size_t i = 0; i < 8; ++i)
        head[1 + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(key.expiry_ms) >> (8 * i));
    crypto_generichash_update(&hashing_->state, head.data(), head.size());
}

void KeyStore::value(ByteView raw) {
    if (passes_over_) return;
    crypto_generichash_update(&hashing_->state, raw.data(), raw.size());
    if (large_) {
        spool_.append(raw);
        large_bytes_ += raw.size();
        return;
    }
    append(small_, raw);
    if (small_.size() <= small_max) return;
    large_ = spool_.append(small_);
    large_bytes_ = small_.size();
    small_.clear();
}

void KeyStore::end_key(const RdbKey& key, const Value& value) {
    if (passes_over_) return;
    if (++keys_ % 1024 == 0) world_.stop.check();
    counts_.end_key(key, value);
    Database& place = database(key.database);
    std::array<std::uint8_t, crypto_generichash_BYTES_MIN> hash{};
    crypto_generichash_final(&hashing_->state, hash.data(), hash.size());
    const KeyId id = key_id(as_bytes(key.name));
    const std::size_t number = (std::size_t{id.bytes[0]} << 8 | id.bytes[1]) >> (16 - place.bits);
    Bucket& bucket = place.buckets[number];
    // Not by doubling, which would take twice as much of thousands of buckets.
    bucket.pending.reserve(pending_each_ + record_guess);
    ByteWriter out(bucket.pending);
    out.raw(id.view());
    out.raw(ByteView(hash).first(ValueId::size));
    out.string(key.name);
    out.u64(static_cast<std::uint64_t>(key.expiry_ms));
    out.u8(key.type);
    out.u8(large_ ? 1 : 0);
    if (large_) {
        out.u64(large_bytes_);
        out.u64(*large_);
    } else {
        out.varint(small_.size());
        out.raw(small_);
    }
    bucket.record_bytes += key.name.size() + (large_ ? large_bytes_ : small_.size()) + 16;
    if (bucket.pending.size() >= pending_each_) flush(bucket);
}

void KeyStore::flush(Bucket& bucket) {
    if (bucket.pending.empty()) return;
    const std::uint64_t offset = spool_.append(bucket.pending);
    bucket.extents.push_back({offset, static_cast<std::uint32_t>(bucket.pending.size())});
    bucket.bytes += bucket.pending.size();
    bucket.pending.clear();
    if (bucket.pending.capacity() > 2 * (pending_each_ + record_guess)) Bytes().swap(bucket.pending);
}

void KeyStore::flush() {
    for (const auto& [number, each] : databases_)
        for (Bucket& bucket : each->buckets) {
            flush(bucket);
            Bytes().swap(bucket.pending);
        }
}

std::vector<std::uint64_t> KeyStore::databases() const {
    std::vector<std::uint64_t> out;
    for (const auto& [number, each] : databases_) out.push_back(number);
    return out;
}

unsigned KeyStore::bits(std::uint64_t database) const { return databases_.at(database)->bits; }

std::uint64_t KeyStore::bucket_bytes(std::uint64_t database, std::size_t bucket) const {
    return databases_.at(database)->buckets[bucket].record_bytes;
}

std::unique_ptr<KeyStore::Loaded> KeyStore::load(std::uint64_t database, std::size_t number) const {
    const Bucket& bucket = databases_.at(database)->buckets[number];
    auto out = std::make_unique<Loaded>();
    out->bytes.resize(bucket.bytes);
    std::size_t at = 0;
    for (const Bucket::Extent& extent : bucket.extents) {
        spool_.read(extent.offset, MutableByteView(out->bytes).subspan(at, extent.bytes));
        at += extent.bytes;
    }
    ByteReader in(out->bytes, "the spool");
    while (!in.done()) {
        Key& key = out->keys.emplace_back();
        key.id = KeyId::from(in.raw(KeyId::size));
        key.value_id = ValueId::from(in.raw(ValueId::size));
        key.head.name = in.string();
        key.head.expiry_ms = static_cast<std::int64_t>(in.u64());
        key.head.type = in.u8();
        if (in.u8() != 0) {
            key.head.value_bytes = in.u64();
            key.large = in.u64();
        } else {
            key.value = in.string_view();
            key.head.value_bytes = key.value.size();
        }
    }
    std::ranges::sort(out->keys, {}, &Key::id);
    return out;
}

}  // namespace holdfast::redis
