#include "sources/redis/key_store.h"

#include <sodium.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace holdfast::redis {

namespace {

constexpr std::uint64_t bucket_bytes_wanted = 1024 * 1024;
constexpr std::size_t slots_bytes = 24 * 1024 * 1024;
constexpr std::size_t small_max = 1024 * 1024;

// A bucket's runs lie in areas, so that few reads bring it back however it came.
constexpr std::size_t area_bytes = 64 * 1024;
constexpr std::size_t record_slot_min = 2048;
constexpr std::size_t record_slots_each_row_slot = 8;

constexpr std::size_t hashed_bytes = 9;  // type and expiry
constexpr std::size_t row_bytes = KeyId::size + ValueId::size + 4 + 8;
constexpr std::uint64_t large_bit = 1ULL << 63;
constexpr std::size_t place_bytes = 8;

void sort_by_id(std::vector<KeySpool::Row>& rows) {
    std::ranges::sort(rows, [](const KeySpool::Row& a, const KeySpool::Row& b) { return is_before(a.id, b.id); });
}

}  // namespace

unsigned bucket_bits_for(std::uint64_t bytes) {
    unsigned bits = 0;
    while (bits < bucket_bits_max && bytes >> bits > bucket_bytes_wanted) ++bits;
    return bits;
}

// Bytes of one bucket in areas of the spool, and behind them those that wait in its slot.
struct KeySpool::Run {
    std::vector<std::uint64_t> areas;
    std::uint64_t bytes = 0;
    std::size_t waiting = 0;
};

struct KeySpool::Bucket {
    Run rows;
    Run records;
};

struct KeySpool::Database {
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
      keys_(std::make_unique<KeySpool>(world)),
      fingerprint_(Secret(seed)),
      hashing_(std::make_unique<Hashing>()) {}

KeyStore::~KeyStore() = default;

KeySpool::KeySpool(World& world) : spool_(world) {}
KeySpool::~KeySpool() = default;

void KeySpool::clear(World& world) {
    databases_.clear();
    spool_.clear(world);
}

KeySpool::Database& KeyStore::database(std::uint64_t number) {
    if (filling_ != nullptr && filling_number_ == number) return *filling_;
    std::unique_ptr<KeySpool::Database>& place = keys_->databases_[number];
    if (!place) {
        place = std::make_unique<KeySpool::Database>();
        place->bits = std::min(bits_(number), bucket_bits_max);
        place->buckets.resize(std::size_t{1} << place->bits);
    }
    flush();
    begin_filling(*place);
    filling_number_ = number;
    return *place;
}

// A server gives one database after the other, so that only one needs slots.
void KeyStore::begin_filling(KeySpool::Database& database) {
    filling_ = &database;
    const std::size_t buckets = database.buckets.size();
    record_slot_ = std::clamp(std::bit_floor(slots_bytes / buckets), record_slot_min, area_bytes);
    row_slot_ = record_slot_ / record_slots_each_row_slot;
    slots_.resize(buckets * (row_slot_ + record_slot_));
}

void KeyStore::put(KeySpool::Run& run, std::size_t slot, std::size_t slot_bytes, ByteView bytes) {
    std::uint8_t* const to = slots_.data() + slot;
    while (!bytes.empty()) {
        const std::size_t some = std::min(bytes.size(), slot_bytes - run.waiting);
        std::memcpy(to + run.waiting, bytes.data(), some);
        run.waiting += some;
        bytes = bytes.subspan(some);
        if (run.waiting < slot_bytes) return;
        keys_->write(run, {to, slot_bytes});
        run.waiting = 0;
    }
}

void KeySpool::write(Run& run, ByteView bytes) {
    while (!bytes.empty()) {
        const std::size_t at = run.bytes % area_bytes;
        if (at == 0) run.areas.push_back(spool_.reserve(area_bytes));
        const ByteView some = bytes.first(std::min(bytes.size(), area_bytes - at));
        spool_.write(run.areas.back() + at, some);
        run.bytes += some.size();
        bytes = bytes.subspan(some.size());
    }
}

Bytes KeySpool::read(const Run& run) const {
    Bytes out(run.bytes);
    for (std::size_t at = 0; at < out.size(); at += area_bytes)
        spool_.read(run.areas[at / area_bytes],
                    MutableByteView(out).subspan(at, std::min(area_bytes, out.size() - at)));
    return out;
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
    large_.reset();
    large_bytes_ = 0;
    small_.resize(hashed_bytes);
    small_[0] = key.type;
    for (std::size_t i = 0; i < 8; ++i)
        small_[1 + i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(key.expiry_ms) >> (8 * i));
}

void KeyStore::value(ByteView raw) {
    if (passes_over_) return;
    if (large_) {
        crypto_generichash_update(&hashing_->state, raw.data(), raw.size());
        keys_->spool_.append(raw);
        large_bytes_ += raw.size();
        return;
    }
    append(small_, raw);
    if (small_.size() <= hashed_bytes + small_max) return;
    crypto_generichash_init(&hashing_->state, seed_.data(), seed_.size(), crypto_generichash_BYTES_MIN);
    crypto_generichash_update(&hashing_->state, small_.data(), small_.size());
    large_ = keys_->spool_.append(ByteView(small_).subspan(hashed_bytes));
    large_bytes_ = small_.size() - hashed_bytes;
    small_.clear();
}

// GMAC for what lies in memory as a whole: for some hundred bytes much less work.
ValueId KeyStore::value_id() {
    std::array<std::uint8_t, crypto_generichash_BYTES_MIN> hash{};
    if (large_)
        crypto_generichash_final(&hashing_->state, hash.data(), hash.size());
    else
        hash = fingerprint_(small_);
    return ValueId::from(ByteView(hash).first(ValueId::size));
}

void KeyStore::end_key(const RdbKey& key, const Value& value) {
    if (passes_over_) return;
    if (++count_ % 1024 == 0) world_.stop.check();
    counts_.end_key(key, value);
    KeySpool::Database& place = database(key.database);
    const KeyId id = key_id(as_bytes(key.name));
    const std::size_t number = (std::size_t{id.bytes[0]} << 8 | id.bytes[1]) >> (16 - place.bits);
    KeySpool::Bucket& bucket = place.buckets[number];
    // The server's compression is undone: the repository's does better without it, in less time.
    if (value.unpacked && !large_) {
        small_.resize(hashed_bytes);
        append_length(small_, value.unpacked->size());
        append(small_, *value.unpacked);
    }
    const std::size_t slot = number * (row_slot_ + record_slot_);
    const ByteView content = large_ ? ByteView() : ByteView(small_).subspan(hashed_bytes);
    const std::uint64_t bytes = large_ ? large_bytes_ : content.size();

    head_.clear();
    if (large_) ByteWriter(head_).u64(*large_);
    append_key_head(head_, key, bytes);
    row_.clear();
    ByteWriter row(row_);
    row.raw(id.view());
    row.raw(value_id().view());
    row.u32(static_cast<std::uint32_t>(large_ ? head_.size() - place_bytes : head_.size()));
    row.u64(large_ ? bytes | large_bit : bytes);
    put(bucket.rows, slot, row_slot_, row_);
    put(bucket.records, slot + row_slot_, record_slot_, head_);
    put(bucket.records, slot + row_slot_, record_slot_, content);
    bytes_ += head_.size() + bytes;
}

void KeyStore::flush() {
    if (filling_ == nullptr) return;
    std::size_t slot = 0;
    for (KeySpool::Bucket& bucket : filling_->buckets) {
        keys_->write(bucket.rows, ByteView(slots_).subspan(slot, std::exchange(bucket.rows.waiting, 0)));
        slot += row_slot_;
        keys_->write(bucket.records, ByteView(slots_).subspan(slot, std::exchange(bucket.records.waiting, 0)));
        slot += record_slot_;
    }
    filling_ = nullptr;
    Bytes().swap(slots_);
}

std::unique_ptr<KeySpool> KeyStore::take(std::unique_ptr<KeySpool> next) {
    flush();
    bytes_ = 0;
    return std::exchange(keys_, std::move(next));
}

std::vector<std::uint64_t> KeySpool::databases() const {
    std::vector<std::uint64_t> out;
    for (const auto& [number, each] : databases_) out.push_back(number);
    return out;
}

unsigned KeySpool::bits(std::uint64_t database) const { return databases_.at(database)->bits; }

std::vector<KeySpool::Row> KeySpool::rows_in_order(const Bucket& bucket) const {
    const Bytes bytes = read(bucket.rows);
    std::vector<Row> out(bytes.size() / row_bytes);
    std::uint64_t at = 0;
    ByteReader in(bytes, "the spool");
    for (Row& row : out) {
        row.id = KeyId::from(in.raw(KeyId::size));
        row.value_id = ValueId::from(in.raw(ValueId::size));
        row.head_bytes = in.u32();
        const std::uint64_t value = in.u64();
        row.is_large = (value & large_bit) != 0;
        row.value_bytes = value & ~large_bit;
        row.at = at;
        at += row.is_large ? place_bytes + row.head_bytes : row.record_bytes();
    }
    return out;
}

std::vector<KeySpool::Row> KeySpool::rows(std::uint64_t database, std::size_t bucket) const {
    std::vector<Row> out = rows_in_order(databases_.at(database)->buckets[bucket]);
    sort_by_id(out);
    return out;
}

std::unique_ptr<KeySpool::Loaded> KeySpool::load(std::uint64_t database, std::size_t number) const {
    const Bucket& bucket = databases_.at(database)->buckets[number];
    auto out = std::make_unique<Loaded>();
    out->rows = rows_in_order(bucket);
    out->bytes = read(bucket.records);
    sort_by_id(out->rows);
    return out;
}

ByteView KeySpool::Loaded::record(const Row& row) const {
    return ByteView(bytes).subspan(row.at + (row.is_large ? place_bytes : 0),
                                   row.head_bytes + (row.is_large ? 0 : row.value_bytes));
}

std::uint64_t KeySpool::Loaded::value_place(const Row& row) const {
    return ByteReader(ByteView(bytes).subspan(row.at, place_bytes), "the spool").u64();
}

}  // namespace holdfast::redis
