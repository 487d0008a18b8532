#include "sources/mongodb/changes.h"

#include "sources/mongodb/id_order.h"

namespace holdfast::mongodb {

Changes::Changes(std::unique_ptr<MemoryReader> earlier, std::vector<ByteRange> kept, std::shared_ptr<MemoryWriter> now,
                 const HashKey& hash_key)
    : earlier_(std::move(earlier)),
      kept_(std::move(kept)),
      now_(std::move(now)),
      hasher_(now_ ? std::make_unique<DocumentHasher>(hash_key) : nullptr) {}

void Changes::add(ByteView document, std::uint64_t hash) {
    if (!now_) {
        parts_.push_back({document, {}, hash});
        return;
    }
    const auto id = mongodb::find(document, "_id");
    const std::string key = id ? order_key(*id) : "";
    const DocumentHash keyed = (*hasher_)(document);
    now_->add(key, keyed, static_cast<std::uint32_t>(document.size()));
    const auto there = find_earlier(key, keyed, document.size());
    if (!there || there->begin != run_.end) end_run();
    if (!there) {
        parts_.push_back({document, {}, hash});
        return;
    }
    if (run_.begin == run_.end) run_.begin = there->begin;
    run_.end = there->end;
    const std::uint64_t bytes = run_.end - run_.begin;
    held_hash_ = hash;
    if (!goes_on_ && bytes < run_bytes_min)
        append(held_, document);
    else
        held_.clear();
    if (bytes < run_bytes_max) return;
    parts_.push_back({{}, run_});
    run_.begin = run_.end;
    goes_on_ = true;
}

void Changes::end() {
    end_run();
    if (now_) now_->end();
}

void Changes::end_run() {
    if (run_.begin < run_.end) {
        if (held_.empty()) {
            parts_.push_back({{}, run_});
        } else {
            std::swap(handed_, held_);
            parts_.push_back({handed_, {}, held_hash_});
        }
    }
    held_.clear();
    goes_on_ = false;
    run_ = {};
}

std::optional<ByteRange> Changes::find_earlier(const std::string& key, const DocumentHash& hash, std::uint64_t bytes) {
    if (!earlier_) return std::nullopt;
    const auto there = earlier_->find(key, hash);
    if (!there || there->end - there->begin != bytes) return std::nullopt;
    while (kept_at_ < kept_.size() && kept_[kept_at_].end < there->end) ++kept_at_;
    if (kept_at_ == kept_.size() || kept_[kept_at_].begin > there->begin) return std::nullopt;
    return there;
}

}  // namespace holdfast::mongodb
