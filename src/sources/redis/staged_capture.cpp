#include "sources/redis/staged_capture.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "sources/redis/layer_data.h"

namespace holdfast::redis {

namespace {

constexpr std::size_t row_bytes = KeyId::size + ValueId::size;
constexpr std::uint64_t stage_bytes_least = 128 * 1024 * 1024;

}  // namespace

std::uint64_t stage_bytes_for(const RdbOrigin& origin) {
    std::uint64_t sum = 0;
    for (const auto& [database, bytes] : origin.bytes)
        if (!origin.only || *origin.only == database) sum += bytes;
    return std::max(sum / Stages::count_max, stage_bytes_least);
}

// The stage is let go when its last entry was opened, and what was opened was read.
struct StagedCapture::Ahead {
    struct Place {
        std::uint64_t database = 0;
        std::size_t bucket = 0;
        std::size_t rows = 0;
    };
    std::vector<Place> places;  // as the batch's entries
    std::atomic<std::size_t> unopened{0};
    std::shared_ptr<const KeySpool> keys;
};

StagedCapture::StagedCapture(World& world, RdbOrigin origin, RdbInput::Read read, std::uint64_t stage_bytes)
    : KeyCapture(world, std::move(origin), nullptr),
      stages_(world, store_, std::move(read), stage_bytes),
      rows_(world) {}

bool StagedCapture::next(Batch& batch) {
    if (!is_read_) {
        if (next_ahead(batch)) return true;
        is_read_ = true;
        BitsByDatabase bits;
        for (const auto& [number, buckets] : parts_)
            bits[number] = static_cast<unsigned>(std::countr_zero(buckets.size()));
        end_reading(bits);
    }
    return KeyCapture::next(batch);
}

bool StagedCapture::next_ahead(Batch& batch) {
    world_.stop.check();
    batch = Batch{};
    batch.is_ahead = true;
    while (batch.entries.empty()) {
        if (databases_.empty()) {
            stage_.reset();
            auto keys = stages_.next();
            if (!keys) return false;
            stage_ = std::shared_ptr<KeySpool>(
                keys.release(), [this](KeySpool* done) { stages_.release(std::unique_ptr<KeySpool>(done)); });
            databases_ = stage_->databases();
            bucket_ = 0;
            ++number_;
            continue;  // it may have none
        }
        const std::uint64_t database = databases_.back();
        const std::size_t buckets = std::size_t{1} << stage_->bits(database);
        parts_[database].resize(buckets);
        const std::size_t end = std::min(buckets, bucket_ + buckets_each_batch);
        for (; bucket_ < end; ++bucket_) add_ahead(batch, database, bucket_);
        if (bucket_ == buckets) {
            bucket_ = 0;
            databases_.pop_back();
        }
    }
    auto& ahead = *static_cast<Ahead*>(batch.handle.get());
    ahead.unopened = batch.entries.size();
    ahead.keys = stage_;
    return true;
}

void StagedCapture::add_ahead(Batch& batch, std::uint64_t database, std::size_t bucket) {
    const std::vector<KeySpool::Row> rows = stage_->rows(database, bucket);
    if (rows.empty()) return;
    Part part{{fresh_id(), number_ - 1, 0}, static_cast<std::uint32_t>(rows.size()), 0};
    Bytes kept;
    kept.reserve(rows.size() * row_bytes);
    ByteWriter out(kept);
    for (const KeySpool::Row& row : rows) {
        out.raw(row.id.view());
        out.raw(row.value_id.view());
        part.layer.bytes += row.record_bytes();
    }
    part.at = rows_.append(kept);
    if (!batch.handle) batch.handle = std::make_shared<Ahead>();
    static_cast<Ahead*>(batch.handle.get())->places.push_back({database, bucket, rows.size()});
    batch.entries.push_back(layer_entry(database, bucket, part.layer));
    parts_[database][bucket].push_back(part);
}

std::unique_ptr<ItemData> StagedCapture::open_layer(const Batch& batch, std::size_t entry) {
    auto& ahead = *static_cast<Ahead*>(batch.handle.get());
    const Ahead::Place& place = ahead.places.at(entry);
    const std::shared_ptr<const KeySpool> keys = ahead.keys;
    HF_ASSERT(keys != nullptr);
    auto out = std::make_unique<LayerData>(keys, keys->load(place.database, place.bucket),
                                           std::make_shared<const RowLayers>(place.rows), 0);
    if (ahead.unopened.fetch_sub(1) == 1) ahead.keys.reset();
    return out;
}

Remembered StagedCapture::add_bucket(Batch& batch, std::uint64_t database, std::size_t bucket) {
    const std::vector<Part>& parts = parts_.at(database)[bucket];
    Remembered out;
    Bytes raw;
    for (const Part& part : parts) {
        raw.resize(part.rows * row_bytes);
        rows_.read(part.at, raw);
        ByteReader in(raw, "the spool");
        for (std::uint32_t i = 0; i < part.rows; ++i) {
            Remembered::Row& row = out.rows.emplace_back();
            row.id = KeyId::from(in.raw(KeyId::size));
            row.value_id = ValueId::from(in.raw(ValueId::size));
            row.layer = static_cast<std::uint8_t>(out.layers.size());
        }
        out.layers.push_back(part.layer);
    }
    if (parts.size() > 1)
        std::ranges::sort(out.rows, [](const auto& a, const auto& b) { return is_before(a.id, b.id); });
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
        batch.entries.push_back(layer_entry(database, bucket, part->layer));
    return out;
}

}  // namespace holdfast::redis
