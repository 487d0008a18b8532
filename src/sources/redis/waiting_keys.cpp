#include "sources/redis/waiting_keys.h"

#include <algorithm>

namespace holdfast::redis {

namespace {

constexpr std::size_t piece_bytes = 1024 * 1024;

}  // namespace

void WaitingKeys::begin_key(const RdbKey& key, std::uint64_t value_bytes) {
    if (runs_.empty() || runs_.back().database != key.database)
        runs_.push_back({key.database, spool_->size() + pending_.size()});
    append_key_head(pending_, key, value_bytes);
}

void WaitingKeys::value(ByteView raw) {
    append(pending_, raw);
    if (pending_.size() >= piece_bytes) flush();
}

void WaitingKeys::flush() {
    if (!pending_.empty()) spool_->append(pending_);
    pending_.clear();
}

void WaitingKeys::for_each_database(const std::function<RecordSink&(std::uint64_t database)>& sink_for) {
    flush();
    Bytes piece;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        RecordReader reader(sink_for(runs_[i].database));
        const std::uint64_t end = i + 1 < runs_.size() ? runs_[i + 1].begin : spool_->size();
        for (std::uint64_t at = runs_[i].begin; at < end; at += piece.size()) {
            world_->stop.check();
            piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes, end - at)));
            spool_->read(at, piece);
            reader.feed(piece);
        }
        reader.end();
    }
}

}  // namespace holdfast::redis
