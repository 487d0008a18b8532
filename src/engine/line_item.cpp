#include "engine/line_item.h"

#include "base/error.h"

namespace holdfast::engine {

namespace {

constexpr std::size_t remembered_line_max = 256 * 1024;

}  // namespace

LineItem::LineItem(const Secret& key, std::unique_ptr<KnownLines> known, std::unique_ptr<LineRecord> record,
                   const codec::ChunkSizes& sizes, std::atomic<std::int64_t>& extents_left, Store store)
    : key_(key),
      known_(std::move(known)),
      record_(std::move(record)),
      sizes_(sizes),
      line_max_(std::min<std::size_t>(remembered_line_max, sizes.max)),
      extents_left_(extents_left),
      store_(std::move(store)) {}

void LineItem::add(ByteView bytes) {
    bytes_ += bytes.size();
    while (!bytes.empty()) {
        const void* const found = std::memchr(bytes.data(), '\n', bytes.size());
        const bool ends = found != nullptr;
        const std::size_t size =
            ends ? static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes.data()) + 1 : bytes.size();
        const ByteView piece = bytes.first(size);
        bytes = bytes.subspan(size);
        if (is_long_ || line_.size() + size > line_max_) {
            add_fresh(std::exchange(line_, {}));
            add_fresh(piece);
            is_long_ = !ends;
        } else if (!ends) {
            append(line_, piece);
        } else if (line_.empty()) {
            add_line(piece);
        } else {
            append(line_, piece);
            add_line(line_);
            line_.clear();
        }
    }
}

void LineItem::end() {
    add_fresh(line_);
    store_fresh();
    known_.reset();
}

void LineItem::add_line(ByteView line) {
    const LineTag tag = line_tag(key_, line);
    // No line is looked for any more once there are as many pieces as memory allows.
    if (known_ && extents_left_.load(std::memory_order_relaxed) <= 0) known_.reset();
    if (known_) {
        if (const auto place = known_->find(tag, line.size())) {
            add_known(*place, line.size());
            if (record_) record_->add(tag, line.size(), last_number_, place->offset);
            return;
        }
    }
    if (fresh_.size() + line.size() > sizes_.max) store_fresh();
    add_fresh(line);
    if (record_) record_->add(tag, line.size(), fresh_number_, static_cast<std::uint32_t>(fresh_.size() - line.size()));
    const std::uint64_t chance = ~std::uint64_t{0} / (sizes_.mean - sizes_.min);
    if (fresh_.size() >= sizes_.min && tag.draw / line.size() < chance) store_fresh();
}

void LineItem::add_known(const LinePlace& place, std::size_t length) {
    if (last_found_ != place.chunk) {
        const auto [at, is_new] = found_.try_emplace(place.chunk, 0);
        if (is_new) {
            const std::lock_guard lock(mutex_);
            at->second = static_cast<std::uint32_t>(chunks_.size());
            chunks_.push_back(*place.chunk);
        }
        last_found_ = place.chunk;
        last_number_ = at->second;
    }
    extends_last_ = false;
    if (!content_.empty()) {
        repo::Extent& last = content_.back();
        if (last.chunk == place.chunk->id && last.offset + last.length == place.offset) {
            last.length += length;
            return;
        }
    }
    content_.push_back({place.chunk->id, place.offset, length});
    extents_left_.fetch_sub(1, std::memory_order_relaxed);
}

void LineItem::add_fresh(ByteView bytes) {
    while (!bytes.empty()) {
        if (fresh_.size() >= sizes_.max) store_fresh();
        const ByteView now = bytes.first(std::min<std::size_t>(bytes.size(), sizes_.max - fresh_.size()));
        bytes = bytes.subspan(now.size());
        if (fresh_.empty()) {
            const std::lock_guard lock(mutex_);
            fresh_number_ = static_cast<std::uint32_t>(chunks_.size());
            chunks_.emplace_back();
            fresh_from_ = content_.size();
            fresh_.reserve(sizes_.mean + sizes_.mean / 2);
        }
        if (extends_last_) {
            content_.back().length += now.size();
        } else {
            content_.push_back({{}, static_cast<std::uint32_t>(fresh_.size()), now.size()});
            extends_last_ = true;
            extents_left_.fetch_sub(1, std::memory_order_relaxed);
        }
        append(fresh_, now);
    }
}

void LineItem::store_fresh() {
    extends_last_ = false;
    if (fresh_.empty()) return;
    stored_.push_back({fresh_number_, fresh_from_, content_.size()});
    {
        const std::lock_guard lock(mutex_);
        chunks_[fresh_number_].bytes = static_cast<std::uint32_t>(fresh_.size());
    }
    store_(fresh_number_, std::exchange(fresh_, {}));
}

void LineItem::settle(std::uint32_t number, const repo::ChunkId& id) {
    const std::lock_guard lock(mutex_);
    chunks_[number].id = id;
}

LineItem::Finished LineItem::finish() {
    for (const Stored& each : stored_) {
        const repo::ChunkId& id = chunks_[each.number].id;
        HF_ASSERT(!id.is_zero());
        for (std::size_t i = each.from; i < each.to; ++i)
            if (content_[i].chunk.is_zero()) content_[i].chunk = id;
    }
    Finished out{std::move(content_), false};
    if (record_) out.is_remembered = record_->finish(chunks_);
    return out;
}

}  // namespace holdfast::engine
